// Logs and tables keep their scroll position when a live update replaces them. A log with `data-follow` stays at its
// end while it grows, until someone scrolls up in it.

const NEAR_PX = 24;
const BOXES = ".log, .table-frame";
const places = new Map();

const keyOf = (box) => box.id || box.getAttribute("aria-label");
const isAtEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;

function settle(box) {
  const { top, left } = places.get(keyOf(box)) ?? { top: 0, left: 0 };
  const isFollowing = box.hasAttribute("data-follow") && !places.has(keyOf(box));
  box.scrollTo({ top: isFollowing ? box.scrollHeight : top, left, behavior: "instant" });
}

function remember(box) {
  if (box.hasAttribute("data-follow") && isAtEnd(box)) places.delete(keyOf(box));
  else places.set(keyOf(box), { top: box.scrollTop, left: box.scrollLeft });
}

const settleAll = () => document.querySelectorAll(BOXES).forEach(settle);

document.addEventListener("scroll", ({ target }) => target.matches?.(BOXES) && remember(target), true);
document.addEventListener("htmx:load", settleAll);
settleAll();
