// Hovering a chart, or arrow keys on it, shows the row of its table behind: texts the server wrote, never computed here.

const MARGIN_PX = 6;

const tip = document.createElement("div");
tip.className = "chart-tip";
tip.setAttribute("aria-hidden", "true");
tip.hidden = true;
document.body.append(tip);

const spoken = document.createElement("div");
spoken.className = "visually-hidden";
spoken.setAttribute("aria-live", "polite");
document.body.append(spoken);

const targetsOf = (chart) => [...chart.querySelectorAll(".chart-hit, [data-bar]")];

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function fillTip(chart, index) {
  const table = chart.querySelector("[data-chart-table]");
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const [title, ...values] = [...table.tBodies[0].rows[index].cells].map((cell) => cell.textContent);
  const list = document.createElement("dl");
  values.forEach((value, column) => list.append(element("dt", names[column]), element("dd", value)));
  tip.replaceChildren(element("div", title, "chart-tip-title"), list);
  return [title, ...values.map((value, column) => `${names[column]} ${value}`)].join(", ");
}

function placeTip(target) {
  tip.hidden = false;
  const box = target.getBoundingClientRect();
  const room = document.documentElement.clientWidth - tip.offsetWidth - MARGIN_PX;
  const left = Math.max(Math.min(box.left + (box.width - tip.offsetWidth) / 2, room), MARGIN_PX);
  const top = target.hasAttribute("data-bar") ? box.top - tip.offsetHeight - MARGIN_PX : box.top + MARGIN_PX;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

function placeCursor(chart, target) {
  const cursor = chart.querySelector(".chart-cursor");
  if (!cursor) return;
  const centre = `${target.dataset.centre}%`;
  cursor.setAttribute("x1", centre);
  cursor.setAttribute("x2", centre);
  const heights = target.dataset.points.split(",");
  chart.querySelectorAll(".chart-dot").forEach((dot, index) => {
    dot.toggleAttribute("hidden", heights[index] === "");
    dot.setAttribute("cx", centre);
    dot.setAttribute("cy", heights[index] || 0);
  });
}

function showRow(chart, index) {
  const targets = targetsOf(chart);
  const target = targets[index];
  hide(chart);
  chart.classList.add("is-hovering");
  chart.dataset.row = index;
  target.classList.add("is-current");
  const text = fillTip(chart, index);
  placeCursor(chart, target);
  placeTip(target);
  return text;
}

function hide(chart) {
  chart.classList.remove("is-hovering");
  chart.querySelector(".is-current")?.classList.remove("is-current");
  delete chart.dataset.row;
  tip.hidden = true;
}

const STEPS = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

document.addEventListener("pointerover", (event) => {
  const target = event.target.closest(".chart-hit, [data-bar]");
  const chart = target?.closest("[data-chart]");
  if (chart) showRow(chart, targetsOf(chart).indexOf(target));
});
document.addEventListener("pointerout", (event) => {
  const chart = event.target.closest("[data-chart]");
  if (chart && !chart.contains(event.relatedTarget)) hide(chart);
});
document.addEventListener("htmx:load", () => { tip.hidden = true; });
document.addEventListener("focusout", (event) => {
  const chart = event.target.closest("[data-chart]");
  if (chart) hide(chart);
});
document.addEventListener("keydown", (event) => {
  const chart = event.target.closest("[data-chart]");
  if (!chart) return;
  if (event.key === "Escape") hide(chart);
  if (event.key === "Enter") chart.querySelector("a:has(.is-current)")?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const last = targetsOf(chart).length - 1;
  const current = chart.dataset.row === undefined ? -1 : Number(chart.dataset.row);
  spoken.textContent = showRow(chart, Math.min(Math.max(current + STEPS[event.key], 0), last));
});
