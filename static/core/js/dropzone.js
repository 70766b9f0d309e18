// A file field to drop on. In a form with `data-upload` and hx-post, the upload's progress is shown as htmx reports it.

const UNITS = ["B", "kB", "MB", "GB"];

function readable(bytes) {
  const unit = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  return `${(bytes / 1000 ** unit).toFixed(unit ? 1 : 0)} ${UNITS[unit]}`;
}

function nameFile(zone) {
  const [file] = zone.querySelector("input").files;
  const prompt = zone.querySelector("[data-dropzone-prompt]");
  prompt.dataset.prompt ??= prompt.textContent;
  prompt.textContent = file ? `${file.name} · ${readable(file.size)}` : prompt.dataset.prompt;
  zone.dispatchEvent(new CustomEvent("file-chosen", { bubbles: true, detail: { name: file?.name ?? "" } }));
}

function showProgress(zone, { loaded, total }) {
  const share = total ? loaded / total : 0;
  const block = zone.querySelector("[data-dropzone-progress]");
  block.hidden = false;
  block.querySelector("progress").value = share * 100;
  const isSent = share === 1;
  block.querySelector("[data-dropzone-step]").textContent = isSent ? "Stored by the server, almost done" : "Uploading";
  block.querySelector("[data-dropzone-percent]").textContent = `${readable(loaded)} of ${readable(total)}`;
}

const zoneOf = (event) => event.target.closest?.("[data-dropzone]");

document.addEventListener("change", (event) => {
  const zone = zoneOf(event);
  if (zone) nameFile(zone);
});
document.addEventListener("dragover", (event) => zoneOf(event)?.classList.add("is-over"));
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => zoneOf(event)?.classList.remove("is-over"));
}
document.addEventListener("htmx:xhr:progress", ({ target, detail }) => {
  const zone = target.closest?.("[data-upload]")?.querySelector("[data-dropzone]");
  if (zone && detail.lengthComputable) showProgress(zone, detail);
});
for (const kind of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(kind, ({ target }) => {
    const block = target.closest?.("[data-upload]")?.querySelector("[data-dropzone-progress]");
    if (block) block.hidden = true;
  });
}
