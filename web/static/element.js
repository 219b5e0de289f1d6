// Making and filling elements. Everything is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const FOCUSABLE = "a, button, summary, input, select";

// An HTML element. What is a property of it is set as one, everything else as an attribute.
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// One of the figures of a list: its name, what it is, and what is to be said of it.
export const fact = (name, value, ...notes) =>
  element("div", {}, element("dt", {}, name), element("dd", {}, value), element("dd", { className: "note" }, ...notes));

export const byId = (id) => document.getElementById(id);

const shows = (node, shown) => node.shown === JSON.stringify(shown);

// Give the node what `make` returns, if `shown` is not what it shows already. The focus stays at its place.
export function fill(node, shown, make) {
  const key = JSON.stringify(shown);
  if (node.shown === key) return;
  node.shown = key;
  const focused = [...node.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  node.replaceChildren(...[make(shown)].flat());
  if (focused >= 0) node.querySelectorAll(FOCUSABLE)[focused]?.focus();
}

export const write = (node, text) => fill(node, text, String);

// The children of a list or a table's body: one for each record, kept while its key is there.
export class Rows {
  #rows = new Map();

  constructor(parent, name, key, make) {
    Object.assign(this, { parent, name, key, make });
  }

  // At most so many are made anew; returns whether there are more.
  show(records, most = Infinity) {
    const focused = document.activeElement;
    const rows = new Map();
    let made = 0;
    for (const record of records) {
      const key = record[this.key];
      const known = this.#rows.get(key);
      const isNews = !known || !shows(known, record);
      const row = known ?? document.createElement(this.name);
      made += isNews;
      if (isNews && made <= most) fill(row, record, this.make);
      if (known || made <= most) rows.set(key, row);
    }
    for (const [key, row] of this.#rows) if (rows.get(key) !== row) row.remove();
    let place = this.parent.firstElementChild;
    for (const row of rows.values()) {
      if (row === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row, place);
    }
    this.#rows = rows;
    if (focused !== document.activeElement && this.parent.contains(focused)) focused.focus();
    return made > most;
  }
}
