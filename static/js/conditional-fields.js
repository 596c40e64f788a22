// Fields that belong to one choice only: `data-only-when` names its values, `data-only-name` the field, else "when".
(() => {
  const show = () => {
    for (const part of document.querySelectorAll("[data-only-when]")) {
      const name = part.dataset.onlyName || "when";
      const chosen = document.querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
      part.hidden = !!chosen && !part.dataset.onlyWhen.split(" ").includes(chosen.value);
    }
  };
  document.addEventListener("change", show);
  onContent(show);
})();
