// A time zone that nobody chose is the browser's own, and moments that the server wrote in UTC are put on its clock.
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
