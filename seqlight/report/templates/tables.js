// Tables: sort, search, pages, download.
const compare = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;
const keyOf = (row, column) => {
  const cell = row.cells[column];
  if (cell.dataset.v === undefined) return cell.textContent.trim();
  return cell.dataset.v === "" ? NaN : Number(cell.dataset.v);
};
for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const kept = heads.map((head, column) => column).filter((column) => !heads[column].classList.contains("plain"));
  const bar = make("div", { className: "bar" });
  let limit = PAGE, wanted = rows, order = rows;
  const show = () => {
    const sought = new Set(wanted);
    const shown = order.filter((row) => sought.has(row));
    body.replaceChildren(...shown.slice(0, limit));
    if (more) {
      more.hidden = shown.length <= limit;
      more.textContent = "Show all " + shown.length.toLocaleString("en");
      count.textContent = Math.min(limit, shown.length).toLocaleString("en") + " of " +
        rows.length.toLocaleString("en") + " rows";
    }
  };
  let more = null, count = null;
  if (rows.length > 8) {
    const search = make("input", { type: "search", placeholder: "name" });
    bar.append(make("label", {}, "Search ", search));
    search.addEventListener("input", () => {
      const text = search.value.trim().toLowerCase();
      wanted = rows.filter((row) => row.textContent.toLowerCase().includes(text));
      show();
      live.textContent = wanted.length + " rows found";
    });
    count = make("span", {});
    bar.append(count);
  }
  const button = make("button", { type: "button", className: "push", textContent: "CSV" });
  button.setAttribute("aria-label", "Download as CSV: " + table.caption.firstChild.textContent.trim());
  button.addEventListener("click", () =>
    download(box.dataset.csv, [
      kept.map((column) => csvText(heads[column].textContent.trim())),
      ...order.map((row) => kept.map((column) => cellText(row.cells[column]))),
    ])
  );
  bar.append(button);
  box.prepend(bar);
  if (rows.length > 8) {
    more = make("button", { type: "button" });
    more.addEventListener("click", () => {
      limit = Infinity;
      show();
    });
    box.append(more);
  }
  if (rows.length > 1) {
    for (const column of kept) {
      const head = heads[column];
      const sorter = make("button", { type: "button" }, ...head.childNodes);
      head.append(sorter);
      sorter.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending" ||
          (!head.hasAttribute("aria-sort") && head.classList.contains("n"));
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        order = rows.map((row) => [keyOf(row, column), row]).sort(([one], [other]) => {
          if (typeof one === "string") return sign * compare(one, other);
          if (isNaN(one) || isNaN(other)) return isNaN(one) - isNaN(other); // unknown ones come last
          return sign * (one - other);
        }).map(([, row]) => row);
        show();
      });
    }
  }
  show();
}

// Cards of series: search and sort.
const cards = document.querySelector(".cards");
if (cards && cards.children.length > 1) {
  const all = [...cards.children];
  const search = make("input", { type: "search", placeholder: "name" });
  const sort = make("select", {},
    make("option", { value: "place", textContent: "as in the data" }),
    make("option", { value: "name", textContent: "by name" }));
  if (all.some((card) => card.dataset.error))
    sort.append(make("option", { value: "error", textContent: "worst first" }));
  if (all.some((card) => card.dataset.mean))
    sort.append(make("option", { value: "mean", textContent: "largest forecast first" }));
  const arrange = () => {
    const by = sort.value;
    const number = (card) => (card.dataset[by] === "" ? -Infinity : Number(card.dataset[by]));
    const text = search.value.trim().toLowerCase();
    const sorted = [...all].sort((one, other) =>
      by === "name" ? compare(one.dataset.name, other.dataset.name)
        : by === "place" ? number(one) - number(other) : number(other) - number(one));
    const found = sorted.filter((card) => card.dataset.name.includes(text));
    cards.replaceChildren(...found);
    live.textContent = found.length + " series";
  };
  search.addEventListener("input", arrange);
  sort.addEventListener("change", arrange);
  cards.before(make("div", { className: "bar" },
    make("label", {}, "Search ", search), make("label", {}, "Order ", sort)));
}
