// Writing a text: templates, placeholders and plainer characters go into its field. A page that only shows the text has
// no such field, and still steps through its recipients.
(() => {
  const area = document.querySelector("[data-compose]");
  const announceChange = () => area.dispatchEvent(new Event("input", { bubbles: true }));
  // Characters are named as they are sent, composed.
  const replace = ({ dataset }) => {
    area.value = area.value.normalize("NFC").replaceAll(dataset.replace, dataset.with);
  };
  document.addEventListener("click", (event) => {
    if (!area) return;
    const one = event.target.closest("[data-replace]");
    const all = event.target.closest("[data-replace-all]");
    const insert = event.target.closest("[data-insert]");
    if (one) replace(one);
    if (all) document.querySelectorAll(".costly [data-replace]").forEach(replace);
    if (insert) {
      area.setRangeText(insert.dataset.insert, area.selectionStart, area.selectionEnd, "end");
      area.focus();
    }
    if (one || all || insert) announceChange();
  });
  document.addEventListener("click", (event) => {
    const other = event.target.closest("[data-index]");
    if (!other) return;
    document.querySelector("[name=index]").value = other.dataset.index;
    htmx.trigger("#row", "step");
  });
  // What the balance does not cover cannot be pressed; the reason is beside the preview.
  const button = document.getElementById("send-now");
  if (button) onContent(() => { button.disabled = !!document.querySelector("#composed[data-shortfall]"); });
  const template = document.querySelector("[data-template]");
  if (template) {
    template.addEventListener("change", () => {
      if (!template.value) return;
      area.value = template.value;
      announceChange();
    });
  }
})();
