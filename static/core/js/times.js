// Relative times keep themselves true by the server's clock, any time tells its moment to the pointer and the keyboard,
// and a browser in another zone than the page's is offered its own. The words are those of apps/core/formatting.py.

const SECOND_MS = 1_000;
const NOW_S = 10;
const TOLD_BY_DATE_S = 30 * 86_400;
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const TOLERANCE_MS = 2_000; // the header Date has whole seconds
const MARGIN_PX = 4;
const FOCUSABLE = "a[href], button, summary, label";
const DISMISSED = "time-zone-not-now";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;

// How far the server's clock is ahead of this one.
let aheadMs = atStart();

function atStart() {
  const [loaded] = performance.getEntriesByType("navigation");
  // A copy that the browser kept says what time it was then.
  if (!meta("server-time") || loaded?.transferSize === 0) return 0;
  const sinceMs = loaded ? performance.now() - loaded.responseStart : 0;
  return Date.parse(meta("server-time")) + sinceMs - Date.now();
}

function heard({ detail: { xhr } }) {
  const found = Date.parse(xhr.getResponseHeader("Date")) - Date.now();
  if (Math.abs(found - aheadMs) > TOLERANCE_MS) aheadMs = found;
}

// Relative times

function inWords(at, now, exact) {
  const seconds = (now - at) / SECOND_MS;
  const distance = Math.abs(seconds);
  if (distance < NOW_S) return "just now";
  if (distance > TOLD_BY_DATE_S) return dateOf(exact);
  const amountOf = (size) => (seconds > 0 ? Math.floor(distance / size) : nearest(distance / size));
  const [unit, size] = UNITS.find(([, size]) => amountOf(size));
  const amount = amountOf(size);
  const text = `${amount} ${unit}${amount === 1 ? "" : "s"}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

const nearest = (amount) => (amount >= 0.99 ? Math.floor(amount + 0.5) : 0);

function dateOf(exact) {
  const [year, month, day] = exact.slice(0, 10).split("-");
  return `${Number(day)} ${MONTHS[month - 1]} ${year}`;
}

function tick() {
  if (document.hidden) return;
  const now = Date.now() + aheadMs;
  for (const time of document.querySelectorAll("time[data-when]")) {
    const [shown, exact] = time.children;
    const text = inWords(Date.parse(time.dateTime), now, exact.textContent);
    if (shown.textContent !== text) shown.textContent = text;
  }
}

// The exact moment, for the pointer and the keyboard

const tip = document.createElement("div");
tip.className = "time-tip";
tip.popover = "manual";
tip.setAttribute("aria-hidden", "true"); // read aloud, the time says it by itself
document.body.append(tip);

let anchor = null;

// Lists have one stop for each row, its link, which then tells the row's times; other times are stops of their own.
function prepare() {
  for (const time of document.querySelectorAll("time[title]")) {
    time.dataset.exact = time.title;
    time.removeAttribute("title");
    if (!time.closest(`${FOCUSABLE}, .log, tr:has([data-row-link])`)) time.tabIndex = 0;
  }
}

function timesOf(element) {
  const row = element.matches("[data-row-link]") && element.closest("tr");
  const own = element.closest("time[data-exact]");
  return row ? [...row.querySelectorAll("time[data-exact]")] : [own ?? element.querySelector("time[data-exact]")].filter(Boolean);
}

function show(times, beside) {
  if (!times.length) return;
  tip.textContent = times.map((time) => time.dataset.exact).join("\n\n");
  tip.showPopover();
  anchor = beside;
  place();
}

function place() {
  if (!anchor) return;
  const box = anchor.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - MARGIN_PX);
  const below = box.bottom + tip.offsetHeight < document.documentElement.clientHeight;
  const top = below ? box.bottom : box.top - tip.offsetHeight;
  tip.style.transform = `translate(${Math.round(Math.max(left, MARGIN_PX))}px, ${Math.round(top)}px)`;
}

function hide() {
  anchor = null;
  if (tip.matches(":popover-open")) tip.hidePopover();
}

function pointed({ target }) {
  if (tip.contains(target)) return; // the tip itself can be pointed at
  hide();
  const time = target.closest("time[data-exact]");
  if (time) show([time], time);
}

function focused({ target }) {
  hide();
  if (target.matches(":focus-visible")) show(timesOf(target), target);
}

// The browser's zone

function inBrowsersWords(zone) {
  return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
}

function offer(form) {
  const { timeZone: here } = new Intl.DateTimeFormat().resolvedOptions();
  const shown = form.dataset.zoneOffer;
  const isDismissed = !("always" in form.dataset) && localStorage.getItem(DISMISSED) === `${here} ${shown}`;
  if (here === inBrowsersWords(shown) || isDismissed) return;
  form.elements.time_zone.value = here;
  form.querySelector("[data-zone-name]").textContent = here;
  form.hidden = false;
  form.querySelector("[data-zone-dismiss]")?.addEventListener("click", () => {
    localStorage.setItem(DISMISSED, `${here} ${shown}`);
    form.hidden = true;
  });
}

document.addEventListener("htmx:afterRequest", heard);
document.addEventListener("htmx:load", prepare);
document.addEventListener("htmx:load", tick);
document.addEventListener("htmx:load", () => { if (!anchor?.isConnected) hide(); });
document.addEventListener("visibilitychange", tick);
addEventListener("pageshow", tick);
document.addEventListener("pointerover", pointed);
document.addEventListener("focusin", focused);
document.addEventListener("focusout", hide);
document.addEventListener("scroll", place, { capture: true, passive: true });
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
setInterval(tick, SECOND_MS);
prepare();
for (const form of document.querySelectorAll("[data-zone-offer]")) offer(form);
