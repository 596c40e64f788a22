// Every <time datetime> in the reader's own zone; without script it stays in UTC.
(() => {
  const format = (moment, withSeconds) => {
    const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    if (moment.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
    if (withSeconds) options.second = "2-digit";
    return moment.toLocaleString(undefined, options);
  };
  const localise = () => {
    for (const element of document.querySelectorAll("time[datetime]:not([title])")) {
      element.title = element.textContent;
      element.textContent = format(new Date(element.dateTime), element.hasAttribute("data-seconds"));
    }
  };
  localise();
  document.addEventListener("htmx:afterSettle", localise);
})();
