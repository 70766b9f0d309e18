// Menus are <details>: this closes them on Escape and when a click or the focus goes elsewhere, and leaves the rest to
// the browser. A dialog that a menu's item opened gives the focus back to that item, so the menu stays until then.

const open = () => document.querySelectorAll("[data-menu][open]");
const isDialogOpen = () => document.querySelector("dialog[open]") !== null;

function closeOthers({ target }) {
  if (isDialogOpen()) return;
  for (const menu of open()) if (!menu.contains(target)) menu.open = false;
}

document.addEventListener("click", closeOthers);
document.addEventListener("focusin", closeOthers);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || isDialogOpen()) return;
  for (const menu of open()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
