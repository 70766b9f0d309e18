// A classic script in <head>: the chosen theme is set before the first paint, so that nothing flashes.
(() => {
  const root = document.documentElement;
  const chosen = () => localStorage.getItem("theme") ?? "system";

  const apply = () => {
    const theme = chosen();
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const choice of document.querySelectorAll("[data-theme-choice][aria-pressed]")) {
      choice.setAttribute("aria-pressed", String(choice.dataset.themeChoice === theme));
    }
  };

  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-theme-choice]");
    if (!choice) return;
    localStorage.setItem("theme", choice.dataset.themeChoice);
    apply();
  });
  addEventListener("storage", (event) => event.key === "theme" && apply());
  addEventListener("DOMContentLoaded", apply);
  apply();
})();
