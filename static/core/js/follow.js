// Logs and tables keep their scroll position when a live update replaces them. A log with `data-follow` stays at its
// end while it grows, until someone scrolls up in it. Lines put in front of what is read leave it in place, and what was
// opened or closed (`details` with an id) stays so.

const NEAR_PX = 24;
const BOXES = ".log, .table-frame";
const places = new Map();
const opened = new Map();

const keyOf = (box) => box.id || box.getAttribute("aria-label");
const isAtEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;

function settle(box) {
  const { rest, top = box.scrollHeight - rest, left = 0 } = places.get(keyOf(box)) ?? { top: 0 };
  const isFollowing = box.hasAttribute("data-follow") && !places.has(keyOf(box));
  box.scrollTo({ top: isFollowing ? box.scrollHeight : top, left, behavior: "instant" });
}

function remember(box) {
  if (box.hasAttribute("data-follow") && isAtEnd(box)) places.delete(keyOf(box));
  else places.set(keyOf(box), { top: box.scrollTop, left: box.scrollLeft });
}

function settleAll() {
  document.querySelectorAll(BOXES).forEach(settle);
  for (const details of document.querySelectorAll("details[id]")) details.open = opened.get(details.id) ?? details.open;
}

document.addEventListener("scroll", ({ target }) => target.matches?.(BOXES) && remember(target), true);
document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  const box = target.matches("[data-earlier]") && target.closest(BOXES);
  if (box) places.set(keyOf(box), { rest: box.scrollHeight - box.scrollTop });
});
document.addEventListener("toggle", ({ target }) => target.id && opened.set(target.id, target.open), true);
document.addEventListener("htmx:load", settleAll);
settleAll();
