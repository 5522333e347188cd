"use strict";
// Sorting, filtering and tooltips; without scripts the page shows everything all the same.

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, head, column));
  });
}

function sortBy(table, head, column) {
  const downwards = head.getAttribute("aria-sort") !== "descending";
  table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", downwards ? "descending" : "ascending");
  const value = (row) => Number(row.cells[column].dataset.value);
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => value(a) - value(b));
  body.append(...(downwards ? rows.reverse() : rows));
}

const form = document.querySelector("form.filters");
if (form) {
  const list = document.querySelector("ol.examples");
  const examples = [...list.children];
  const chosen = (name) => (form.elements[name] ? form.elements[name].value : "");
  const fits = ({ dataset }) =>
    (!chosen("kind") || dataset.kinds.split(" ").includes(chosen("kind"))) &&
    (!chosen("speaker") || dataset.speaker === chosen("speaker")) &&
    (!chosen("set") || dataset.set === chosen("set")) &&
    dataset.text.toLowerCase().includes(chosen("find").trim().toLowerCase());
  const update = () => {
    examples.forEach((example) => { example.hidden = !fits(example); });
    const order = chosen("order");
    list.append(...[...examples].sort((a, b) => b.dataset[order] - a.dataset[order]));
    const shown = examples.filter((example) => !example.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${examples.length}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  update();
}

for (const figure of document.querySelectorAll("figure.chart")) {
  const svg = figure.querySelector("svg[role]");
  const cursor = figure.querySelector(".cursor");
  const note = figure.querySelector(".note");
  const rest = note.textContent;
  const series = JSON.parse(figure.dataset.series);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const nearest = series.map(({ name, points }) => {
      const point = points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
      return { name, point };
    });
    const at = nearest.reduce((a, b) => (Math.abs(b.point[0] - x) < Math.abs(a.point[0] - x) ? b : a));
    cursor.setAttribute("x1", at.point[0]);
    cursor.setAttribute("x2", at.point[0]);
    cursor.setAttribute("visibility", "visible");
    note.textContent = nearest.map(({ name, point }) => `${name} ${point[3]} at step ${point[2]}`).join(" · ");
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    note.textContent = rest;
  });
}
