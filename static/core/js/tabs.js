// Tabs inside a page (tabs that are addresses are plain links). Those with a name, such as the language of the
// snippets, are remembered and follow each other.

const tabsIn = (group) => [...group.querySelectorAll('[role="tab"]')];
const panelsIn = (group) => [...group.querySelectorAll('[role="tabpanel"]')];
const nameOf = (tab) => tab.textContent.trim();

function select(group, chosen) {
  tabsIn(group).forEach((tab, index) => {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panelsIn(group)[index].hidden = !isChosen;
  });
}

function selectEverywhere(kind, name) {
  for (const group of document.querySelectorAll(`[data-tabs="${kind}"]`)) {
    const tab = tabsIn(group).find((candidate) => nameOf(candidate) === name);
    if (tab) select(group, tab);
  }
}

function choose(tab) {
  const group = tab.closest("[data-tabs]");
  localStorage.setItem(`tabs:${group.dataset.tabs}`, nameOf(tab));
  selectEverywhere(group.dataset.tabs, nameOf(tab));
}

function restore() {
  for (const kind of new Set([...document.querySelectorAll("[data-tabs]")].map((group) => group.dataset.tabs))) {
    const name = localStorage.getItem(`tabs:${kind}`);
    if (name) selectEverywhere(kind, name);
  }
}

document.addEventListener("click", (event) => {
  const tab = event.target.closest('[data-tabs] [role="tab"]');
  if (tab) choose(tab);
});
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest('[data-tabs] [role="tab"]');
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !step) return;
  const tabs = tabsIn(tab.closest("[data-tabs]"));
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  choose(next);
  next.focus();
});
document.addEventListener("htmx:load", restore);
restore();
for (const current of document.querySelectorAll(".tabs [aria-current]")) {
  const row = current.closest(".tabs"); // the row alone: the page stays at its top
  const middle = (box) => box.left + box.width / 2;
  row.scrollLeft += middle(current.getBoundingClientRect()) - middle(row.getBoundingClientRect());
}
