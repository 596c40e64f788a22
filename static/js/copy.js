// A button[data-copy] copies the text of the element with that id, or selects it where the browser does not allow that.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    showToast(button.dataset.copied);
  } catch {
    getSelection().selectAllChildren(source);
  }
});
