// A log with `data-follow` stays at its end while it grows, until someone scrolls up in it.

const NEAR_PX = 24;
const left = new Map();

const keyOf = (log) => log.id || log.getAttribute("aria-label");
const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;

function settle(log) {
  log.scrollTop = left.get(keyOf(log)) ?? log.scrollHeight;
}

function remember(log) {
  if (isAtEnd(log)) left.delete(keyOf(log));
  else left.set(keyOf(log), log.scrollTop);
}

document.addEventListener("scroll", ({ target }) => target.matches?.("[data-follow]") && remember(target), true);
document.addEventListener("htmx:load", () => document.querySelectorAll("[data-follow]").forEach(settle));
document.querySelectorAll("[data-follow]").forEach(settle);
