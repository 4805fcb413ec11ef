// One table: rows keep their nodes as long as their keys stay, and turn into cards where there is no room for columns.

import { el, reconcile, setAttribute, setText } from "./dom.js";

/** Below so many pixels all tables turn into cards, and those with many columns. */
const CARDS = { cards: 640, "cards-many": 1180 };
for (const [name, width] of Object.entries(CARDS)) {
  const query = matchMedia(`(max-width: ${width}px)`);
  const show = () => document.documentElement.classList.toggle(name, query.matches);
  query.addEventListener("change", show);
  show();
}
const MANY = 8;

export class Table {
  #columns;
  #keyOf;
  #body;
  #table;
  #empty;

  /**
   * `columns`: each a title and `text(row)`; instead of text, `make()` builds a node that `update(node, row)` fills.
   * A `long` text takes a line of its own in a card. The first column names the row. Roles are written out, because a table that is laid out as cards loses its own.
   */
  constructor({ caption, columns, keyOf, empty = "Nothing yet." }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#body = el("tbody", { role: "rowgroup" });
    this.#empty = el("p", { class: "empty" }, empty);
    this.#table = el(
      "table",
      { role: "table", hidden: true },
      el("caption", { class: "hidden" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...columns.map(heading))),
      this.#body,
    );
    this.node = el("div", { class: columns.length > MANY ? "table many" : "table" }, this.#table, this.#empty);
  }

  /** Shows these rows. */
  update(rows) {
    setAttribute(this.#table, "hidden", rows.length === 0);
    setAttribute(this.#empty, "hidden", rows.length > 0);
    reconcile(this.#body, rows, this.#keyOf, () => this.#make(), (made, row) => this.#fill(made, row));
  }

  #make() {
    const cells = this.#columns.map((column, i) => {
      const inner = column.make?.() ?? null;
      const role = i === 0 ? { scope: "row", role: "rowheader" } : { role: "cell" };
      const attributes = { ...role, class: kind(column), "data-title": column.title };
      return { inner, node: el(i === 0 ? "th" : "td", attributes, ...(inner ? [inner] : [])) };
    });
    return { cells, node: el("tr", { role: "row" }, ...cells.map((cell) => cell.node)) };
  }

  #fill(made, row) {
    this.#columns.forEach((column, i) => {
      const { inner, node } = made.cells[i];
      if (inner) column.update(inner, row);
      else setText(node, column.text(row));
    });
  }
}

const kind = ({ number, free, long, make }) => (number ? "number" : long ? "free long" : free ? "free" : make === bar ? "wide" : null);

function heading(column) {
  const name = column.silent ? el("span", { class: "hidden" }, column.title) : column.title;
  return el("th", { scope: "col", role: "columnheader", class: kind(column) }, name);
}

/** A table that shows its first rows, and a button for the others. */
export function few(table, count) {
  let shown = [];
  const button = el("button", { type: "button", class: "quiet more-rows", "aria-expanded": "false" });
  const update = (rows) => {
    shown = rows;
    const all = button.getAttribute("aria-expanded") === "true";
    table.update(all ? rows : rows.slice(0, count));
    setAttribute(button, "hidden", rows.length <= count);
    setText(button, all ? `Show ${count}` : `Show all ${rows.length}`);
  };
  button.addEventListener("click", () => {
    setAttribute(button, "aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
    update(shown);
  });
  return { button, update };
}

/** A part of the page around tables. */
export function panel(id, title, note, ...children) {
  const words = note ? [el("p", { class: "small" }, note)] : [];
  return el("section", { class: "panel", id, "aria-labelledby": `${id}-title` }, el("h3", { id: `${id}-title` }, title), ...words, ...children);
}

/** A state in words, with a mark that does not depend on its colour: ok, warn, bad or idle. */
export function badge() {
  return el("span", { class: "badge" });
}

/** Fills a badge. */
export function setBadge(node, level, words) {
  setAttribute(node, "data-level", level);
  setText(node, words);
}

/** A link within the page. */
export function within() {
  return el("a", { "data-within": true });
}

/** A bar for a share of something, with words beside it. */
export function bar() {
  return el("span", { class: "progress" }, el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: "done" })), el("span", { class: "words" }));
}

/** Fills a bar; a share that is not known leaves it out. */
export function setBar(node, share, words, level = "ok") {
  const [track, text] = node.children;
  setAttribute(track, "hidden", share === null);
  setAttribute(track, "data-level", level);
  track.firstChild.style.width = `${Math.round(1000 * Math.min(1, Math.max(0, share ?? 0))) / 10}%`;
  setText(text, words);
}
