// Writing a text: templates, placeholders and plainer characters go into the field; a moment needs the reader's zone.
(() => {
  const area = document.querySelector("[data-compose]");
  const tell = () => area.dispatchEvent(new Event("input", { bubbles: true }));
  document.addEventListener("click", (event) => {
    const replace = event.target.closest("[data-replace]");
    if (replace) {
      area.value = area.value.replaceAll(replace.dataset.replace, replace.dataset.with);
      tell();
    }
    if (event.target.closest("[data-replace-all]")) {
      for (const one of document.querySelectorAll(".costly [data-replace]")) {
        area.value = area.value.replaceAll(one.dataset.replace, one.dataset.with);
      }
      tell();
    }
    const insert = event.target.closest("[data-insert]");
    if (insert) {
      area.setRangeText(insert.dataset.insert, area.selectionStart, area.selectionEnd, "end");
      area.focus();
      tell();
    }
  });
  document.addEventListener("click", (event) => {
    const other = event.target.closest("[data-place]");
    if (!other) return;
    document.querySelector("[name=place]").value = other.dataset.place;
    htmx.trigger("#row-place", "place");
  });
  const template = document.querySelector("[data-template]");
  if (template) template.addEventListener("change", () => { if (template.value) { area.value = template.value; tell(); } });
})();
