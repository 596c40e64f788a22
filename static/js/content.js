// What prepares a page prepares whatever htmx puts into it, too, before that is seen.
window.onContent = (prepare) => {
  prepare();
  for (const swapped of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(swapped, prepare);
};
