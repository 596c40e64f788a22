// A table[data-sortable] has all of its rows on the page and is sorted by the column that is pressed, by `data-value` of
// its cells or else their text. Tables of many pages ask the server.
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text && !Number.isNaN(Number(text)) ? Number(text) : text.toLocaleLowerCase();
  };
  const compare = (a, b) => (
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))
  );
  const sort = (table, head, column) => {
    const isDown = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(key(a, column), key(b, column)) * (isDown ? -1 : 1));
    table.tBodies[0].append(...rows);
  };
  const prepare = (table) => {
    table.dataset.prepared = "";
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim() || head.querySelector(".visually-hidden")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort-link";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  };
  onContent(() => document.querySelectorAll("table[data-sortable]:not([data-prepared])").forEach(prepare));
})();
