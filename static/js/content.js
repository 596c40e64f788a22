// What prepares a page prepares whatever htmx puts into it, too, before that is seen.
window.onContent = (prepare) => {
  prepare();
  for (const swapped of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(swapped, prepare);
};

// The page's language as the browser knows it: British for a Briton where the page is English.
window.pageLocale = (() => {
  const { lang } = document.documentElement;
  return navigator.languages.find((one) => one === lang || one.startsWith(`${lang}-`)) ?? lang;
})();
