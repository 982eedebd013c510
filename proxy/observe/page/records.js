// A long list of records beside the one that is looked at: events, or pieces.
//
// What a record is, its columns say. Searchable, follows its end, can be paused.

import { make, setClass, setText } from "./dom.js";
import { count } from "./format.js";
import { VirtualRows } from "./virtual.js";

const ROW = 24; // pixels; records.css has it too

export class Records {
  #query = "";
  #found = null; // indices that the query lets through; null: all
  #looked = 0; // index up to which was searched
  #selected = null;
  #end = 0;
  #paused = false;
  #follows = true;

  /**
   * `kept` holds the records, `columns` are {key, label, end, text, mark}, `search(record)`
   * gives the text to be searched, `detail(record)` the elements beside the list.
   */
  constructor(kept, { name, columns, search, detail, selected }) {
    this.kept = kept;
    this.columns = columns;
    this.search = search;
    this.detail = detail;
    this.selected = selected;
    this.name = name;
    this.list = make("div", {
      class: "records",
      role: "listbox",
      tabIndex: 0,
      "data-testid": `${name}-list`,
    });
    this.side = make("section", { class: "detail", "aria-label": `Chosen ${name}`, tabIndex: 0, "data-testid": `${name}-detail` });
    this.input = make("input", {
      type: "search",
      autocomplete: "off",
      spellcheck: false,
      "data-testid": `${name}-search`,
    });
    this.told = make("p", { class: "shown", "data-testid": `${name}-shown` });
    this.note = make("p", { class: "missing wait", "data-testid": `${name}-missing` });
    const search_ = make("label", { class: "search" }, this.input, make("kbd", { "aria-hidden": "true" }, "/"));
    this.element = make(
      "div",
      { class: "records-view", "data-name": name },
      make("div", { class: "records-tools" }, search_, this.note, this.told),
      make(
        "div",
        { class: "records-split" },
        make("div", { class: "records-list" }, captions(columns), this.list),
        this.side,
      ),
    );
    this.rows = new VirtualRows(this.list, {
      height: ROW,
      make: () => this.#row(),
      fill: (row, position) => this.#fill(row, position),
    });
    this.call(name);
    this.#listen();
    this.#showDetail();
  }

  #listen() {
    this.input.addEventListener("input", () => this.#search(this.input.value));
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(row.index);
    });
    this.list.addEventListener("scroll", () => {
      this.#follows = this.rows.isAtEnd;
    });
  }

  /** Say what the records are: objects, frames. */
  call(noun) {
    if (noun === this.noun) return;
    this.noun = noun;
    this.input.placeholder = `Search ${noun}s …`;
    this.input.setAttribute("aria-label", `Search ${noun}s`);
    this.list.setAttribute("aria-label", `${noun}s`);
  }

  /** Records have come, or gone; nothing moves while paused. */
  update() {
    if (!this.#paused) this.#end = this.kept.end;
    this.#extend();
    const follows = this.#follows && !this.#paused;
    this.rows.update(this.#count);
    if (follows) this.rows.scrollToEnd();
    this.#say();
  }

  pause(paused) {
    this.#paused = paused;
    this.update();
  }

  missing(text) {
    setText(this.note, text);
  }

  /** Look at the record with this index. */
  choose(index, tell = true) {
    const record = this.kept.get(index);
    if (!record) return;
    this.#selected = index;
    this.list.setAttribute("aria-activedescendant", `${this.name}-${index}`);
    const position = this.#position(index);
    if (position >= 0) this.rows.show(position);
    this.#follows = this.#follows && index === this.#end - 1;
    this.rows.draw();
    this.#showDetail(record);
    if (tell) this.selected?.(record);
  }

  /** A key of the list; true where it was one. */
  pressed({ key }) {
    const last = this.#count - 1;
    const at = this.#selected === null ? -1 : this.#position(this.#selected);
    const page = this.rows.visible;
    const moves = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: last };
    const to = { ...moves, PageDown: at + page, PageUp: at - page }[key];
    if (to === undefined || last < 0) return false;
    this.list.focus({ preventScroll: true });
    this.choose(this.#index(Math.max(0, Math.min(last, to))));
    return true;
  }

  // -- positions in the list, indices of the records

  get #count() {
    return this.#found ? this.#found.length : Math.max(0, this.#end - this.kept.first);
  }

  #index(position) {
    return this.#found ? this.#found[position] : this.kept.first + position;
  }

  #position(index) {
    return this.#found ? this.#found.indexOf(index) : index - this.kept.first;
  }

  #search(query) {
    this.#query = query.toLowerCase();
    this.#found = query === "" ? null : [];
    this.#looked = this.kept.first;
    this.update();
  }

  #extend() {
    if (!this.#found) return;
    if (this.#found[0] < this.kept.first) {
      this.#found = this.#found.filter((index) => index >= this.kept.first);
    }
    for (let index = Math.max(this.#looked, this.kept.first); index < this.#end; index += 1) {
      if (this.search(this.kept.get(index)).toLowerCase().includes(this.#query)) this.#found.push(index);
    }
    this.#looked = this.#end;
  }

  #say() {
    const all = this.kept.end;
    const waiting = all - this.#end;
    const shown = this.#found ? `${count(this.#found.length)} of ${count(this.#end)}` : count(this.#end);
    const paused = this.#paused ? `paused, ${count(waiting)} new  ·  ` : "";
    setText(this.told, `${paused}${shown} ${this.noun}${!this.#found && all === 1 ? "" : "s"}`);
  }

  // -- rows

  #row() {
    const row = make("div", { class: "record", role: "option" });
    row.cells = this.columns.map(({ key, end }) => {
      const cell = make("span", { class: `field ${key}${end ? " end" : ""}`, "data-testid": key });
      row.append(cell);
      return cell;
    });
    return row;
  }

  #fill(row, position) {
    const index = this.#index(position);
    const record = this.kept.get(index);
    if (!record) return;
    row.index = index;
    row.id = `${this.name}-${index}`;
    row.setAttribute("aria-selected", String(index === this.#selected));
    row.setAttribute("aria-posinset", String(position + 1));
    row.setAttribute("aria-setsize", String(this.#count));
    this.columns.forEach((column, at) => {
      const cell = row.cells[at];
      setText(cell, column.text(record));
      setClass(cell, `field ${column.key}${column.end ? " end" : ""} ${column.mark?.(record) ?? ""}`);
    });
  }

  #showDetail(record) {
    // Until one is chosen the list has all the room.
    this.side.hidden = !record;
    if (record) this.side.replaceChildren(...this.detail(record));
    this.side.scrollTop = 0;
  }
}

function captions(columns) {
  const cells = columns.map(({ key, end, label }) =>
    make("span", { class: `field ${key}${end ? " end" : ""}` }, label ?? ""),
  );
  return make("div", { class: "captions", "aria-hidden": "true" }, ...cells);
}
