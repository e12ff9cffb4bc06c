// Light or dark, before anything is drawn: as chosen here, else as the system says.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("crier-theme");
    } catch { // storage may be forbidden
      return null;
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = chosen() ?? (dark.matches ? "dark" : "light");
    dispatchEvent(new Event("theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem("crier-theme", next);
      } catch { // then it holds for this page
      }
      document.documentElement.dataset.theme = next;
      dispatchEvent(new Event("theme"));
    });
  });
})();
