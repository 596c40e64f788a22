// What cannot be undone is confirmed in a dialog, in the words of form[data-confirm]. Afterwards the keyboard is where
// it was: on the button that was pressed.
(() => {
  const element = document.getElementById("confirm-dialog");
  if (!element) return;
  const dialog = bootstrap.Modal.getOrCreateInstance(element);
  const yes = element.querySelector("[data-confirm-yes]");
  let asked = null;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    asked = { form, button: event.submitter };
    element.querySelector(".modal-body").textContent = form.dataset.confirm;
    yes.textContent = (event.submitter.getAttribute("aria-label") || event.submitter.textContent).trim();
    dialog.show();
  }, true);
  element.addEventListener("shown.bs.modal", () => element.querySelector("[data-confirm-no]").focus());
  element.addEventListener("hidden.bs.modal", () => {
    if (asked && asked.button) asked.button.focus();
    asked = null;
  });
  yes.addEventListener("click", () => {
    const { form, button } = asked;
    form.dataset.confirmed = "yes";
    dialog.hide();
    form.requestSubmit(button);
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-confirmed]")) delete form.dataset.confirmed;
  });
})();
