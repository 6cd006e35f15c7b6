"use strict";
// A heading of a table sorts its rows: first by the largest number or the first word, then the other way round, then as at first.
for (const table of document.querySelectorAll(".box > table")) {
  const body = table.tBodies[0];
  const atFirst = [...body.rows];
  if (atFirst.length < 2) continue;
  const headings = [...table.tHead.rows[0].cells];

  const keys = (column, numeric) => atFirst.map((row) => {
    const cell = row.cells[column];
    const text = (cell.dataset.sort ?? cell.firstChild?.textContent ?? "").trim();
    if (!numeric) return text;
    const number = Number(text.replaceAll(",", ""));
    return text === "" || Number.isNaN(number) ? null : number;
  });

  const sorted = (column, order, numeric) => {
    const values = keys(column, numeric);
    const sign = order === "ascending" ? 1 : -1;
    const compared = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    return [...atFirst.keys()]
      .sort((i, j) => {
        const [a, b] = [values[i], values[j]];
        if (a === null || b === null) return (a === null) - (b === null) || i - j;
        return sign * compared(a, b) || i - j;
      })
      .map((i) => atFirst[i]);
  };

  headings.forEach((heading, column) => {
    const numeric = heading.classList.contains("number");
    const orders = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes[0].childNodes);
    heading.childNodes[0].append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = orders[(orders.indexOf(heading.getAttribute("aria-sort")) + 1) % orders.length];
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      body.append(...(order === "none" ? atFirst : sorted(column, order, numeric)));
    });
  });
}

// Paper cannot be unfolded: all parts are open while the page is printed.
const unfolded = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    unfolded.push(part);
  }
});
addEventListener("afterprint", () => {
  for (const part of unfolded.splice(0)) part.open = false;
});
