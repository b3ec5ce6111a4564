// Elements, tables that sort, and files to take away.

const SVG = "http://www.w3.org/2000/svg";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;

// A figure that rounds to zero from below is zero.
function fixed(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

// As ramer.evaluation.points.signed writes a difference: what rounds to zero has no sign.
function points(share) {
  const text = fixed(100 * share, 1);
  return Number(text) > 0 ? `+${text}` : text.replace("-", "−");
}

const LONG = 40; // letters of a cell: it is broken, so that it hides no other
let tables = 0; // that were made: the words above each have an address of their own

// Columns: {name, key, number, value(row) to sort by, show(row) to see}. The order is a part of the address.
function table(caption, columns, rows, sortable = false) {
  const heads = columns.map((column) => {
    const sorted = sortable && chosen.sort === column.key;
    const sort = () => choose({ sort: column.key, down: sorted && !chosen.down ? "1" : "" });
    const inside = sortable ? element("button", { type: "button", onclick: sort }, column.name) : column.name;
    const head = element("th", { scope: "col", className: column.number ? "number" : "" }, inside);
    if (sorted) head.setAttribute("aria-sort", chosen.down ? "descending" : "ascending");
    return head;
  });
  const lines = rows.map((row) => element("tr", {}, ...columns.map((column, i) => {
    const shown = column.show(row);
    const className = [column.number && "number", (shown.textContent ?? shown).length > LONG && "long"].filter(Boolean).join(" ");
    return element(i ? "td" : "th", i ? { className } : { scope: "row", className }, shown);
  })));
  // Words above the table, not in a <caption>: that one would be as wide as the table and scroll away with it.
  const words = element("p", { className: "soft", id: `words${++tables}` }, caption);
  const made = element("table", { "aria-labelledby": words.id, className: sortable ? "clips" : "" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
  return element("div", {}, words, element("div", { className: "scroll", tabIndex: 0 }, made));
}

function inOrder(columns, rows) {
  const column = columns.find((one) => one.key === chosen.sort) || columns[0];
  const sign = chosen.down ? -1 : 1;
  const keyed = rows.map((row, i) => [column.value(row), i, row]);
  keyed.sort(([x, i], [y, j]) => (x < y ? -sign : x > y ? sign : i - j));
  return keyed.map(([, , row]) => row);
}

function answer(method, condition, clip) {
  const label = data.labels[prediction(method, condition, clip)];
  const right = isRight(method, condition, clip);
  const words = `${label} ${percent(confidence(method, condition, clip))}`;
  return element("span", { className: right ? "yes" : "no", title: right ? "right" : "wrong" }, words);
}

const quoted = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

function offer(name, lines) {
  const text = lines.map((line) => line.map(quoted).join(",")).join("\n");
  const address = URL.createObjectURL(new Blob([text, "\n"], { type: "text/csv" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
