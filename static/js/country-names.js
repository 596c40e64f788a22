// Names of countries in the reader's language and order: [data-country] has a code, select[data-countries] all of them.
(() => {
  const names = new Intl.DisplayNames(pageLocale, { type: "region", fallback: "code" });
  const name = (code) => {
    try { return names.of(code); } catch { return code; }
  };
  onContent(() => {
    for (const element of document.querySelectorAll("[data-country]:not([data-named])")) {
      element.dataset.named = "";
      if (/^[A-Z]{2}$/.test(element.dataset.country)) element.textContent = name(element.dataset.country);
    }
    for (const select of document.querySelectorAll("select[data-countries]:not([data-named])")) {
      const chosen = select.value;
      select.dataset.named = "";
      for (const option of select.options) {
        option.textContent = option.textContent.replace(/^[A-Z]{2}/, name(option.value));
      }
      const sorted = [...select.options].sort((a, b) => a.textContent.localeCompare(b.textContent));
      select.append(...sorted);
      select.value = chosen;
    }
  });
})();
