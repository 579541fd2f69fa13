// What all parts use: elements, and CSV files made in the page.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = 200, PAGE = 25;
const live = document.getElementById("live");
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const makeSvg = (tag, attributes) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

// A text that a spreadsheet would take for a formula gets an apostrophe in front.
const csvText = (text) => {
  const safe = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
};
const download = (name, rows) => {
  const blob = new Blob(["\ufeff" + rows.map((row) => row.join(",")).join("\r\n") + "\r\n"], { type: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(blob), download: name + ".csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
const cellText = (cell) => (cell.dataset.v === undefined ? csvText(nameOf(cell)) : cell.dataset.v);
const nameOf = (cell) => (cell.querySelector("bdi") ?? cell).textContent.trim();
