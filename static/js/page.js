// What several pages need: copying, toasts, a busy button while a form is on its way, and the service worker.
(() => {
  const say = (text) => {
    const toast = document.getElementById("toast");
    toast.querySelector(".toast-body").textContent = text;
    bootstrap.Toast.getOrCreateInstance(toast).show();
  };
  window.say = say;

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      say(button.dataset.copied);
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    }
  });

  // A second press would send twice what one press was meant for.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.classList.add("is-busy");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll(".is-busy")) button.classList.remove("is-busy");
  });

  document.addEventListener("htmx:sendError", () => say(document.body.dataset.unreachable));
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js");
})();

// The token by which a form is carried out once belongs to this entry of the history: Back and a reload bring it again.
(() => {
  const fields = [...document.querySelectorAll("input[name=once]")];
  const kept = history.state?.once;
  if (kept?.length === fields.length) fields.forEach((field, n) => { field.value = kept[n]; });
  else history.replaceState({ ...history.state, once: fields.map((field) => field.value) }, "");
})();

// What cannot be taken back asks once more, in the words of its form; the keyboard returns to the button that asked.
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
  element.addEventListener("hidden.bs.modal", () => { if (asked && asked.button) asked.button.focus(); asked = null; });
  yes.addEventListener("click", () => {
    const { form, button } = asked;
    form.dataset.confirmed = "yes";
    dialog.hide();
    form.requestSubmit(button);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-confirmed]").forEach((form) => delete form.dataset.confirmed));
})();

// A zone that nobody chose is the browser's own, and moments that the server wrote in UTC are put on its clock.
(() => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const onOwnClock = (utc) => {
    const moment = new Date(`${utc}Z`);
    return new Date(moment - moment.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
  };
  onContent(() => {
    for (const select of document.querySelectorAll("select[data-own-zone]")) {
      select.removeAttribute("data-own-zone");
      if (![...select.options].some((option) => option.value === own)) continue;
      select.value = own;
      for (const field of select.form.querySelectorAll("input[type=datetime-local]")) {
        if (field.value) field.value = onOwnClock(field.value);
      }
    }
  });
})();

// Fields that belong to one choice only.
(() => {
  const show = () => {
    for (const part of document.querySelectorAll("[data-only-when]")) {
      const name = part.dataset.onlyName || "when";
      const chosen = document.querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
      part.hidden = !!chosen && !part.dataset.onlyWhen.split(" ").includes(chosen.value);
    }
  };
  document.addEventListener("change", show);
  onContent(show);
})();

// Names of countries in the reader's language, in their order.
(() => {
  const names = new Intl.DisplayNames(undefined, { type: "region", fallback: "code" });
  const name = (code) => { try { return names.of(code); } catch { return code; } };
  const translate = () => {
    for (const element of document.querySelectorAll("[data-country]:not([data-named])")) {
      element.dataset.named = "";
      if (/^[A-Z]{2}$/.test(element.dataset.country)) element.textContent = name(element.dataset.country);
    }
    for (const select of document.querySelectorAll("select[data-countries]:not([data-named])")) {
      const chosen = select.value;
      select.dataset.named = "";
      for (const option of select.options) option.textContent = option.textContent.replace(/^[A-Z]{2}/, name(option.value));
      [...select.options].sort((a, b) => a.textContent.localeCompare(b.textContent)).forEach((option) => select.append(option));
      select.value = chosen;
    }
  };
  onContent(translate);
})();

// Tables that show all of their rows are ordered by whichever column is pressed; those of many pages ask the server.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const moment = cell.querySelector("time");
    if (moment) return Date.parse(moment.dateTime);
    const text = cell.dataset.value ?? cell.dataset.plain ?? cell.textContent.trim();
    const number = Number(text.replace(/[^0-9.eE-]/g, ""));
    return /[0-9]/.test(text) && !/[a-z]{2}/i.test(text) && !Number.isNaN(number) ? number : text.toLocaleLowerCase();
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const prepare = (table) => {
    table.dataset.prepared = "";
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim() || head.querySelector(".visually-hidden")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort-link";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(value(a, column), value(b, column)) * (down ? -1 : 1));
        table.tBodies[0].append(...rows);
      });
    });
  };
  onContent(() => document.querySelectorAll("table[data-sortable]:not([data-prepared])").forEach(prepare));
})();
