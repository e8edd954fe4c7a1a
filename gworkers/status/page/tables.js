// Tables whose rows keep their elements between updates, so that open stacks stay open and focus stays.

import { printable } from "./figures.js";

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(name, attributes = {}) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** A cell's content: text from outside, without characters that change the order of others. */
export function text(read) {
  return (cell, item) => {
    if (!cell.firstChild) cell.append(make("bdi"));
    set(cell.firstChild, printable(read(item)));
  };
}

/** A cell's content: a shape and words. *read* returns [shape, words, whether it is an alarm]. */
export function sign(read) {
  return (cell, item) => {
    if (!cell.firstChild) cell.append(make("span", { class: "shape", "aria-hidden": "true" }), make("span"));
    const [shape, words, alarm] = read(item);
    set(cell.firstChild, shape);
    set(cell.lastChild, words);
    cell.lastChild.className = alarm ? "alarm" : "";
  };
}

/** The innermost frame outside of installed packages and the standard library, or else the innermost frame. */
function notable(frames) {
  return frames.filter((frame) => !/\/(site|dist)-packages\/|\/lib\/(python|pypy)/.test(frame)).pop() ?? frames.pop();
}

/** A cell's content: one frame of a stack, which opens the whole stack. *read* returns one line for each frame. */
export function stack(read) {
  return (cell, item) => {
    if (!cell.firstChild) {
      const details = make("details");
      details.append(make("summary"), make("pre"));
      cell.append(details, make("span"));
    }
    const whole = printable(read(item)).trimEnd();
    const [details, none] = cell.children;
    details.hidden = !whole;
    none.hidden = Boolean(whole);
    set(none, "–");
    set(details.firstChild, notable(whole.split("\n")).trim());
    set(details.lastChild, whole);
  };
}

export class Table {
  /**
   * @param place the element to fill
   * @param caption the table's caption
   * @param columns [label, fill(cell, item), kind]; kind is "", "number", "short" or "wide"; the first one heads the row
   */
  constructor(place, caption, columns) {
    this.columns = columns;
    this.rows = new Map();
    // The roles are explicit, because some browsers drop them when CSS changes "display" on narrow screens.
    this.table = make("table", { role: "table" });
    this.caption = this.table.createCaption();
    this.caption.textContent = caption;
    const head = make("tr", { role: "row" }), group = make("thead", { role: "rowgroup" });
    for (const [label, , kind] of columns) {
      const cell = make("th", { scope: "col", role: "columnheader", class: kind });
      cell.textContent = label;
      head.append(cell);
    }
    group.append(head);
    this.body = make("tbody", { role: "rowgroup" });
    this.table.append(group, this.body);
    this.empty = make("p", { class: "empty" });
    this.empty.textContent = "None.";
    place.append(this.table, this.empty);
  }

  /** Show *items* in their order. *key* identifies one between updates; *marked* tells whether its row stands out. */
  show(items, key, marked = () => false) {
    this.table.hidden = !items.length;
    this.empty.hidden = items.length > 0;
    const left = new Map(this.rows), repeated = new Map();
    let place = this.body.firstChild;
    this.rows = new Map();
    for (const item of items) {
      const base = key(item), number = repeated.get(base) ?? 0, name = `${base} ${number}`;
      repeated.set(base, number + 1);
      const row = left.get(name) ?? this.row();
      left.delete(name);
      this.rows.set(name, row);
      row.classList.toggle("marked", Boolean(marked(item)));
      this.columns.forEach(([, fill], index) => fill(row.children[index], item));
      if (row === place) place = place.nextSibling;
      else this.body.insertBefore(row, place);
    }
    for (const row of left.values()) row.remove();
  }

  row() {
    const row = make("tr", { role: "row" });
    this.columns.forEach(([label, , kind], index) => {
      row.append(index ? make("td", { role: "cell", class: kind, "data-label": label })
        : make("th", { scope: "row", role: "rowheader", class: kind, "data-label": label }));
    });
    return row;
  }
}

/** Show *entries*, [term, text] each, in a description list. */
export function showList(list, entries) {
  while (list.children.length > entries.length) list.lastChild.remove();
  entries.forEach(([term, value], index) => {
    if (!list.children[index]) {
      const pair = make("div");
      pair.append(make("dt"), make("dd"));
      list.append(pair);
    }
    set(list.children[index].firstChild, term);
    set(list.children[index].lastChild, printable(value));
  });
}
