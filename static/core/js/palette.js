// The command palette. Ctrl-K (Command-K on a Mac) and `[data-palette-open]` open it; the server answers what is
// typed; arrows choose while the focus stays in the field. A newer question cancels the older one (hx-sync).
// What was chosen last is kept in this browser, as keys that the server turns into names again, if they may be seen.

const RECENT_COUNT = 10;
const STEPS = { ArrowDown: 1, ArrowUp: -1 };
const isMac = navigator.platform.startsWith("Mac");

const palette = document.getElementById("palette");

function start() {
  const form = palette.querySelector("form");
  const field = form.elements.q;
  const answer = document.getElementById("palette-answer");
  const store = `palette:${palette.dataset.recent}`;
  let cameFrom = null;
  let asked = ""; // what the answer on its way, or shown, is for
  let isShown = false; // whether that answer is shown
  let isOwed = false; // whether Enter was pressed before it was
  let refusal = "";

  const options = () => [...answer.querySelectorAll('[role="option"]')];
  const current = () => answer.querySelector('[aria-selected="true"]');
  const recent = () => (localStorage.getItem(store) ?? "").split(" ").filter(Boolean);
  const ask = () => form.dispatchEvent(new CustomEvent("palette-ask"));
  const isCurrent = () => isShown && asked === field.value;

  function open() {
    if (document.querySelector("dialog[open]")) return;
    cameFrom = document.activeElement;
    field.value = "";
    form.elements.recent.value = recent().join(" ");
    palette.showModal();
    ask();
  }

  function select(option) {
    current()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
  }

  function move(step) {
    const all = options();
    if (!all.length) return;
    const next = (all.indexOf(current()) + step + all.length) % all.length;
    select(all[next]);
    if (next) all[next].scrollIntoView({ block: "nearest" });
    else all[next].closest('[role="listbox"]').scrollTop = 0; // the heading above the first one too
  }

  function choose({ ctrlKey, metaKey }) {
    current()?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey }));
  }

  function press(event) {
    if (event.isComposing) return;
    if (event.key in STEPS) move(STEPS[event.key]);
    else if (event.key !== "Enter") return;
    else if (isCurrent()) choose(event);
    else owe();
    event.preventDefault();
  }

  // Whoever types faster than the answer comes means what was typed, not what is still shown.
  function owe() {
    isOwed = true;
    ask();
  }

  function show() {
    isShown = true;
    field.setAttribute("aria-expanded", String(options().length > 0));
    select(options()[0]);
    palette.querySelector("[data-palette-status]").textContent = answer.firstElementChild?.dataset.summary ?? "";
    if (isOwed && isCurrent()) choose({});
    isOwed = false;
  }

  function fail(event) {
    event.stopPropagation(); // told here, not as a toast behind the dialog
    const told = document.getElementById("palette-failed").content.cloneNode(true);
    if (refusal) told.querySelector("[data-palette-error]").textContent = refusal;
    answer.replaceChildren(told);
    show();
  }

  function remember({ dataset: { key } }) {
    if (!key) return;
    localStorage.setItem(store, [key, ...recent().filter((other) => other !== key)].slice(0, RECENT_COUNT).join(" "));
  }

  function clicked(event) {
    if (event.target.closest("[data-palette-retry]")) ask();
    const option = event.target.closest('[role="option"]');
    if (!option) return;
    remember(option);
    if (!event.ctrlKey && !event.metaKey) palette.close();
  }

  function closed() {
    isOwed = false;
    // A live update may have replaced the element that the browser gives the focus back to.
    if (cameFrom && !cameFrom.isConnected) document.getElementById(cameFrom.id)?.focus();
  }

  field.addEventListener("keydown", press);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("htmx:beforeRequest", () => {
    asked = field.value;
    isShown = false;
    refusal = "";
  });
  answer.addEventListener("htmx:afterSwap", show);
  answer.addEventListener("pointermove", (event) => {
    const option = event.target.closest('[role="option"]');
    if (option && option !== current()) select(option);
  });
  palette.addEventListener("click", clicked);
  palette.addEventListener("close", closed);
  palette.addEventListener("toast", (event) => {
    event.stopPropagation();
    refusal = event.detail.text;
  });
  for (const kind of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) palette.addEventListener(kind, fail);

  document.addEventListener("click", (event) => event.target.closest("[data-palette-open]") && open());
  document.addEventListener("keydown", (event) => {
    const modifier = isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
    if (!modifier || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (palette.open) palette.close();
    else open();
  });
}

if (palette) start();
if (isMac) for (const key of document.querySelectorAll("[data-modifier]")) key.textContent = "⌘";
