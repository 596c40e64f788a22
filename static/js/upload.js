// A file that is dropped, and how far it is uploaded. Without script the form does the same, less visibly.
(() => {
  const allowDrop = (form, input) => {
    const zone = form.querySelector("[data-drop]");
    for (const name of ["dragenter", "dragover"]) {
      zone.addEventListener(name, (event) => {
        event.preventDefault();
        zone.classList.add("is-over");
      });
    }
    for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("is-over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!event.dataTransfer.files.length) return;
      input.files = event.dataTransfer.files;
      form.requestSubmit();
    });
  };
  const showProgress = (progress, percent) => {
    progress.hidden = false;
    progress.setAttribute("aria-valuenow", String(percent));
    progress.firstElementChild.style.width = `${percent}%`;
  };
  const prepare = () => {
    const form = document.querySelector("form[data-upload]");
    if (!form) return;
    const input = form.querySelector("input[type=file]");
    const progress = form.querySelector(".progress");
    allowDrop(form, input);
    form.addEventListener("submit", (event) => {
      if (!input.files.length) return;
      event.preventDefault();
      const request = new XMLHttpRequest();
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        showProgress(progress, Math.round((100 * loaded) / total));
      });
      request.addEventListener("load", () => {
        if (!request.responseURL.endsWith(location.pathname)) {
          location.assign(request.responseURL);
          return;
        }
        const page = new DOMParser().parseFromString(request.responseText, "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        prepare();
        document.querySelector(".is-invalid")?.focus();
      });
      request.addEventListener("error", () => {
        delete form.dataset.sent;
        progress.hidden = true;
        showToast(form.dataset.upload);
      });
      request.open("POST", location.href);
      request.send(new FormData(form));
    });
  };
  prepare();
})();
