// Figures in tables and lists as the reader writes them.
(() => {
  if ((1234.5).toLocaleString(pageLocale) === "1,234.5") return;
  const FIGURE = /^(\s*[+-]?)(\d{1,3}(?:,\d{3})*(?:\.\d+)?)(?!\d)/;
  const written = (figure) => {
    const digits = (figure.split(".")[1] || "").length;
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return Number(figure.replaceAll(",", "")).toLocaleString(pageLocale, options);
  };
  onContent(() => {
    for (const element of document.querySelectorAll(".number:not([data-written])")) {
      element.dataset.written = "";
      const isFigure = (node) => node.nodeType === Node.TEXT_NODE && FIGURE.test(node.textContent);
      const node = [...element.childNodes].find(isFigure);
      if (node) node.textContent = node.textContent.replace(FIGURE, (_, before, figure) => before + written(figure));
    }
  });
})();
