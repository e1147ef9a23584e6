// Shared by the pages that the program writes.
const main = document.getElementById("main");
const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 2", "1 2", "12 4", "3 5"];

// ---- elements and numbers
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {}))
    key.startsWith("on") ? node.addEventListener(key.slice(2), value) : value !== null && node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const number = value => value === "inf" ? Infinity : value === null || value === undefined ? NaN : value;
function text(value, digits) {
  value = number(value);
  return Number.isNaN(value) ? "–" : value === Infinity ? "∞" : value.toFixed(digits);
}
function section(title, ...children) { main.append(el("section", {id: "section-" + title.toLowerCase().replace(/[^a-z]+/g, "-")}, el("h2", {}, title), ...children)); }
const colour = i => `var(--c${i % 8})`;
const MARKS = [r => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`, r => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  r => `M0 ${-r}L${r} ${r}H${-r}Z`, r => `M0 ${-r - 1}L${r + 1} 0L0 ${r + 1}L${-r - 1} 0Z`, r => `M0 ${r}L${r} ${-r}H${-r}Z`,
  r => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`, r => `M0 ${-r}V${r}M${-r} 0H${r}`, r => `M${-r} 0H${r}`];
const mark = (i, x, y) => svg("path", {d: MARKS[i % 8](4), transform: `translate(${x} ${y})`, fill: colour(i), stroke: colour(i), "stroke-width": 1.5});

function steps(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const result = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-6 * step; v += step) result.push(+v.toPrecision(10));
  return result;
}

function table(columns, rows, id) {  // with an id its columns sort
  const body = el("tbody");
  const cell = (row, column, i) => column.words ? String(row[i]) : text(row[i], column.digits);
  const show = () => body.replaceChildren(...rows.filter(matches).map(row => el("tr", {}, ...columns.map((column, i) =>
    el("td", {class: column.words ? "words" : null}, cell(row, column, i))))));
  const filter = el("input", {type: "search", placeholder: "filter", "aria-label": "Show rows with all of these words", oninput: () => show()});
  const matches = row => filter.value.toLowerCase().split(" ").every(word => columns.some((column, i) => column.words && cell(row, column, i).toLowerCase().includes(word)));
  const heads = columns.map((column, i) => {
    const head = el("th", {scope: "col", class: column.words ? "words" : null});
    head.append(id ? el("button", {onclick: () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const key = row => column.words ? row[i] : Number.isNaN(number(row[i])) ? -Infinity : number(row[i]);
      rows.sort((a, b) => sign * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      show();
    }}, column.heading) : column.heading);
    return head;
  });
  show();
  const scroll = el("div", {class: "scroll", tabindex: 0}, el("table", {id: id || null}, el("thead", {}, el("tr", {}, ...heads)), body));
  return id && rows.length > 20 ? el("div", {}, el("div", {class: "bar"}, filter), scroll) : scroll;
}
