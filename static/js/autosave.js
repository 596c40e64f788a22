// What somebody writes into a form[data-autosave] stays in this browser until it has been sent: through a reload,
// another page or mode, and the end of a session. It is one person's, for a week, and gone when they sign out, in
// whichever tab, or somebody else signs in.
(() => {
  const PREFIX = "written:";
  const SIGNED_OUT = "signed-out"; // written for a moment, by which other tabs hear of it
  const KEPT_FOR = 7 * 24 * 3600 * 1000;
  const person = document.body.dataset.person;
  // Whatever the mode. What an address brings along (`?to=`) makes it another page, so no other text takes its place.
  const page = location.pathname.replace(/^\/a\/([^/]+)\/[^/]+/, "/$1") + location.search;

  const read = (key) => {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  };
  const write = (key, entry) => {
    try { localStorage.setItem(key, JSON.stringify(entry)); } catch { /* full: go without */ }
  };
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  const isOwn = (key) => key.startsWith(`${PREFIX}${person}:`);
  let hasSignedOut = false;

  // A form that was sent and led elsewhere is done. One that leads back to its page, or to a page that knows nobody, is
  // not: signing in, an error.
  const back = [];
  for (const key of keys()) {
    const entry = read(key);
    const isOthers = person && !isOwn(key);
    const isDone = person && entry?.sent && entry.page !== page;
    if (!entry || Date.now() - entry.at > KEPT_FOR || isOthers || isDone) localStorage.removeItem(key);
    else if (entry.sent) {
      if (person) back.push(key);
      write(key, { ...entry, sent: false });
    }
  }

  const NOT_KEPT = ["hidden", "file", "password", "submit"];
  const isTicked = (field) => ["radio", "checkbox"].includes(field.type);
  const fields = (form) => [...form.elements].filter((field) => field.name && !NOT_KEPT.includes(field.type));
  const values = (form) => fields(form).map((field) => (isTicked(field) ? field.checked : field.value));
  const restore = (form, saved) => {
    fields(form).forEach((field, index) => {
      if (isTicked(field)) field.checked = saved[index];
      else field.value = saved[index];
    });
    form.dispatchEvent(new Event("change", { bubbles: true }));
    (form.querySelector("[data-compose]") || form).dispatchEvent(new Event("input", { bubbles: true }));
  };

  document.querySelectorAll("form[data-autosave]").forEach((form) => {
    const key = `${PREFIX}${person}:${page}:${form.id}`;
    const entry = read(key);
    const given = values(form);
    const note = document.getElementById(form.dataset.autosave);
    if (entry && entry.values.length === given.length && JSON.stringify(entry.values) !== JSON.stringify(given)) {
      addEventListener("load", () => restore(form, entry.values));
      note.hidden = false;
      note.querySelector("button").addEventListener("click", () => {
        localStorage.removeItem(key);
        note.hidden = true;
        restore(form, given);
        localStorage.removeItem(key);
      });
    }
    let later = 0; // the timer of what is not kept yet
    const save = (sent) => {
      clearTimeout(later);
      later = 0;
      if (hasSignedOut || (form.dataset.sent && !sent)) return;
      write(key, { values: values(form), at: Date.now(), page, sent });
    };
    form.addEventListener("input", () => { clearTimeout(later); later = setTimeout(save, 300, false); });
    form.addEventListener("submit", () => save(true));
    addEventListener("pagehide", () => { if (later) save(false); });
  });

  addEventListener("storage", (event) => {
    if (event.key === SIGNED_OUT && event.newValue === person) hasSignedOut = true;
  });
  document.addEventListener("submit", (event) => {
    if (event.target.hasAttribute("data-again")) for (const key of back) write(key, { ...read(key), sent: true });
    if (!event.target.hasAttribute("data-sign-out")) return;
    hasSignedOut = true;
    for (const key of keys()) if (isOwn(key)) localStorage.removeItem(key);
    localStorage.setItem(SIGNED_OUT, person);
    localStorage.removeItem(SIGNED_OUT);
  });
})();
