// A file that is dropped, and how far it is uploaded. Without script the form does the same, less visibly.
(() => {
  const prepare = () => {
    const form = document.querySelector("form[data-upload]");
    if (!form) return;
    const place = form.querySelector("[data-drop]");
    const input = form.querySelector("input[type=file]");
    const progress = form.querySelector(".progress");
    for (const name of ["dragenter", "dragover"]) {
      place.addEventListener(name, (event) => { event.preventDefault(); place.classList.add("is-over"); });
    }
    for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("is-over"));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; form.requestSubmit(); }
    });
    form.addEventListener("submit", (event) => {
      if (!input.files.length) return;
      event.preventDefault();
      const request = new XMLHttpRequest();
      request.upload.addEventListener("progress", (at) => {
        const percent = Math.round((100 * at.loaded) / at.total);
        progress.hidden = false;
        progress.setAttribute("aria-valuenow", String(percent));
        progress.firstElementChild.style.width = `${percent}%`;
      });
      request.addEventListener("load", () => {
        if (!request.responseURL.endsWith(location.pathname)) { location.assign(request.responseURL); return; }
        const page = new DOMParser().parseFromString(request.responseText, "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        prepare();
        document.querySelector(".is-invalid")?.focus();
      });
      request.addEventListener("error", () => {
        delete form.dataset.sent;
        progress.hidden = true;
        window.say("The upload broke off. Please try again.");
      });
      request.open("POST", location.href);
      request.send(new FormData(form));
    });
  };
  prepare();
})();
