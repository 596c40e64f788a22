// Every <time datetime> in the reader's own zone, which it names; without script it stays in UTC. What is less than an
// hour away says how far, and the moment itself is in its title; data-moment and data-seconds always show the moment.
(() => {
  const HOUR = 3600e3;
  const ago = new Intl.RelativeTimeFormat(pageLocale, { numeric: "auto", style: "long" });
  const exact = (moment, withSeconds) => {
    const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
    if (moment.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
    if (withSeconds) options.second = "2-digit";
    return moment.toLocaleString(pageLocale, options);
  };
  const relative = (distance) => (
    Math.abs(distance) < 60e3
      ? ago.format(Math.trunc(distance / 1e3), "second")
      : ago.format(Math.trunc(distance / 60e3), "minute")
  );
  const show = (element) => {
    const moment = new Date(element.dateTime);
    const distance = moment - Date.now();
    const withSeconds = element.hasAttribute("data-seconds");
    const isNear = Math.abs(distance) < HOUR;
    const isRelative = isNear && !withSeconds && !element.hasAttribute("data-moment");
    element.textContent = isRelative ? relative(distance) : exact(moment, withSeconds);
    element.title = `${exact(moment, true)} (${element.dataset.utc})`;
    if (isNear) element.title += ` · ${relative(distance)}`;
    element.classList.toggle("is-near", isNear);
  };
  onContent(() => {
    for (const element of document.querySelectorAll("time[datetime]:not([data-utc])")) {
      element.dataset.utc = element.textContent;
      show(element);
    }
  });
  setInterval(() => document.querySelectorAll("time.is-near").forEach(show), 1e3);
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  for (const element of document.querySelectorAll("[data-zone-name]")) {
    element.textContent = `, ${timeZone.replaceAll("_", " ")}`;
  }
})();
