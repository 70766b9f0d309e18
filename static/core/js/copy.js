// `[data-copy]` copies the text of the nearest `[data-copy-source]`.

const SHOWN_MS = 1500;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.closest(".code, .copy-inline").querySelector("[data-copy-source]");
  await copy(source);
  button.classList.add("copied");
  const spoken = button.querySelector(".visually-hidden");
  const label = button.dataset.label ?? spoken.textContent;
  button.dataset.label = label;
  spoken.textContent = "Copied";
  setTimeout(() => {
    button.classList.remove("copied");
    spoken.textContent = label;
  }, SHOWN_MS);
});

async function copy(source) {
  if (navigator.clipboard) return navigator.clipboard.writeText(source.textContent);
  // Without HTTPS there is no clipboard: select the text, so that one key press copies it.
  getSelection().selectAllChildren(source);
}
