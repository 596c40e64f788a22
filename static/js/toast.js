// A short message at the edge of the page, for a moment: `showToast("Copied.")`.
window.showToast = (text) => {
  const toast = document.getElementById("toast");
  toast.querySelector(".toast-body").textContent = text;
  bootstrap.Toast.getOrCreateInstance(toast).show();
};

document.addEventListener("htmx:sendError", () => showToast(document.body.dataset.unreachable));
