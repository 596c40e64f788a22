// Before the first paint: the theme that was chosen, or that of the system and its changes. The key is our own, since
// Django's admin site keeps its choice under "theme", in other words.
(() => {
  const KEY = "smsapp-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem(KEY) || "system"; } catch { return "system"; } };
  const apply = () => {
    const root = document.documentElement;
    const theme = chosen() === "system" ? (dark.matches ? "dark" : "light") : chosen();
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen()));
    }
    if (root.getAttribute("data-bs-theme") === theme) return;
    root.setAttribute("data-bs-theme", theme);
    document.dispatchEvent(new Event("themechange"));
  };
  dark.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try { localStorage.setItem(KEY, button.dataset.themeChoice); } catch { /* private windows keep nothing */ }
    apply();
  });
  document.addEventListener("DOMContentLoaded", apply);
  apply();
})();
