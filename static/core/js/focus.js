// A live update replaces what has the focus. It goes on where it was: at what leads to, sends or opens the same.
// htmx does so by itself for elements with an id.

const FOCUSABLE = "a[href], button, summary, select, input, time[tabindex]";
let left = "";

function meaning(element) {
  const { tagName, name, value, type, dateTime, dataset } = element;
  const leadsTo = element.getAttribute("href") ?? element.form?.getAttribute("action");
  return [tagName, name, value, type, dateTime, dataset.dialog, leadsTo].join(" ");
}

// Something else, or the same once more, may be replaced before the focus is back: that forgets nothing.
document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  const focused = document.activeElement;
  if (target.contains(focused) && focused.matches(FOCUSABLE)) left = focused.id ? "" : meaning(focused);
});
document.addEventListener("htmx:afterSettle", () => {
  const isLost = left && document.activeElement === document.body;
  const same = isLost && [...document.querySelectorAll(FOCUSABLE)].find((element) => meaning(element) === left);
  left = "";
  if (same) same.focus({ preventScroll: true });
});
