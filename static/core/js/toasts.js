// Toasts come from the server's `toast` event, from refusals that no form shows, and from other modules.

const SHOWN_MS = 6000;
const region = document.getElementById("toasts");

function show({ text, level = "info", request_id: requestId = "" }) {
  const template = document.getElementById(`toast-${level}`) ?? document.getElementById("toast-info");
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-toast-text]").textContent = text;
  toast.querySelector("[data-toast-request]").textContent = requestId;
  region.append(toast);
  leaveLater(toast);
}

function leaveLater(toast) {
  // An error stays until it is dismissed: its request id is meant to be copied.
  if (toast.classList.contains("toast-error")) return;
  let timer = setTimeout(() => toast.remove(), SHOWN_MS);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => {
    timer = setTimeout(() => toast.remove(), SHOWN_MS);
  });
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
  event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove();
});
for (const toast of region.querySelectorAll("[data-toast]")) leaveLater(toast);
