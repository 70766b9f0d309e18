// `?` lists the keys, `/` goes to the search, and pairs such as `g d` follow the links that name them (`data-keys`).

const PAIR_MS = 1000;
let first = "";
let timer = 0;

const isTyping = ({ target }) => target.closest("input, textarea, select, [contenteditable], dialog[open]") !== null;
const isChord = (event) => event.ctrlKey || event.metaKey || event.altKey;

function follow(pair) {
  [...document.querySelectorAll("[data-keys]")].find((link) => link.dataset.keys === pair)?.click();
}

function press(key) {
  clearTimeout(timer);
  if (first) follow(`${first} ${key}`);
  first = first ? "" : key;
  timer = setTimeout(() => { first = ""; }, PAIR_MS);
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || isChord(event) || event.isComposing || event.key.length !== 1) return;
  if (event.key === "?") {
    document.getElementById("keys")?.showModal();
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  } else {
    press(event.key);
  }
});
