// `[data-dialog="id"]` and an address that ends in `#id` open a native dialog; `[data-dialog-close]` and the backdrop
// close it.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  if (event.target.closest("[data-dialog-close]") || event.target.matches("dialog.dialog")) {
    event.target.closest("dialog").close();
  }
});

function openNamed() {
  const dialog = document.getElementById(location.hash.slice(1));
  if (!dialog?.matches("dialog.dialog") || dialog.open) return;
  dialog.showModal();
  // So that the same address opens it again, and a reload does not.
  history.replaceState(history.state, "", location.pathname + location.search);
}

addEventListener("hashchange", openNamed);
openNamed();
