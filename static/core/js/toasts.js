// Toasts come from the server's `toast` event, from refusals that no form shows, and from other modules.

const SHOWN_MS = 6000;
const MOST_SHOWN = 4;
const region = document.getElementById("toasts");

function show({ text, level = "info", request_id: requestId = "" }) {
  const template = document.getElementById(`toast-${level}`) ?? document.getElementById("toast-info");
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-toast-text]").textContent = text;
  toast.querySelector("[data-toast-request]").textContent = requestId;
  region.append(toast);
  leaveLater(toast);
  makeRoom();
}

function leaveLater(toast) {
  // An error stays until it is dismissed: its request id is meant to be copied.
  if (toast.classList.contains("toast-error")) return;
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    // Whoever points at it or stands in it is not done reading.
    if (!toast.matches(":hover, :focus-within")) timer = setTimeout(() => toast.remove(), SHOWN_MS);
  };
  for (const change of ["pointerenter", "pointerleave", "focusin"]) toast.addEventListener(change, wait);
  toast.addEventListener("focusout", () => setTimeout(wait)); // the focus has moved by then
  wait();
}

// The oldest give way; an error only to another error.
function makeRoom() {
  const shown = [...region.querySelectorAll("[data-toast]")];
  const quiet = shown.filter((toast) => !toast.classList.contains("toast-error"));
  for (const toast of [...quiet, ...shown].slice(0, Math.max(shown.length - MOST_SHOWN, 0))) toast.remove();
}

function problemOf(xhr) {
  const requestId = xhr.getResponseHeader("X-Request-Id") ?? "";
  if (xhr.getResponseHeader("Content-Type")?.includes("json")) {
    try {
      const problem = JSON.parse(xhr.responseText);
      return { text: problem.detail ?? problem.title, request_id: problem.request_id ?? requestId };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return { text: `The server answered ${xhr.status}. Try again, or reload the page.`, request_id: requestId };
}

document.addEventListener("toast", (event) => show(event.detail));
document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  if (xhr.status === 401) {
    location.assign(xhr.getResponseHeader("HX-Redirect") ?? location.href);
  } else if (!xhr.getResponseHeader("HX-Trigger")?.includes("toast")) {
    show({ ...problemOf(xhr), level: "error" });
  }
});
document.addEventListener("htmx:sendError", () => {
  show({ text: "The server cannot be reached. Check the connection and try again.", level: "error" });
});
document.addEventListener("click", (event) => {
  const toast = event.target.closest("[data-toast-close]")?.closest("[data-toast]");
  if (!toast) return;
  const next = toast.nextElementSibling ?? toast.previousElementSibling;
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  // The focus would fall to the top of the page.
  if (hadFocus) (next?.querySelector("[data-toast-close]") ?? document.getElementById("main")).focus({ preventScroll: true });
});
for (const toast of region.querySelectorAll("[data-toast]")) leaveLater(toast);
