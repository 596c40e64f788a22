// A form is carried out once.

// A second press would send twice what one press was meant for.
(() => {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.classList.add("is-busy");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll(".is-busy")) button.classList.remove("is-busy");
  });
})();

// The token by which the server knows a repetition belongs to this entry of the history: Back and a reload bring it
// again.
(() => {
  const fields = [...document.querySelectorAll("input[name=once]")];
  const kept = history.state?.once;
  if (kept?.length === fields.length) fields.forEach((field, index) => { field.value = kept[index]; });
  else history.replaceState({ ...history.state, once: fields.map((field) => field.value) }, "");
})();
