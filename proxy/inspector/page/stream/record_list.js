// A long list of records, events or pieces, beside the details of the selected one.
//
// The columns say what a record is. Searchable, follows its end, can be paused.

import { rowAfter } from "../ui/keys.js";
import { VirtualRows } from "../ui/virtual_rows.js";
import { make, setClass, setText } from "../web/dom.js";
import { phrase } from "../web/language.js";
import { count } from "../web/quantities.js";
import { NOUNS } from "./nouns.js";

const ROW = 24; // pixels; as in record_list.css

export class RecordList {
  #query = "";
  #found = null; // indices of the matches; null: all
  #searched = 0; // index up to which was searched
  #selected = null;
  #end = 0;
  #paused = false;
  #follows = true;

  /**
   * `records` is a BoundedList, `columns` are {key, label, end, text, mark}, `search(record)`
   * gives the text to be searched, `detail(record)` the elements beside the list.
   */
  constructor(records, { name, columns, search, detail, selected }) {
    this.records = records;
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
    this.side = make("section", { class: "detail", tabIndex: 0, "data-testid": `${name}-detail` });
    this.input = make("input", {
      type: "search",
      autocomplete: "off",
      spellcheck: false,
      "data-testid": `${name}-search`,
    });
    this.counts = make("p", { class: "shown", "data-testid": `${name}-shown` });
    this.note = make("p", { class: "missing wait", "data-testid": `${name}-missing` });
    const search_ = make("label", { class: "search" }, this.input, make("kbd", { "aria-hidden": "true" }, "/"));
    this.element = make(
      "div",
      { class: "records-view", "data-name": name },
      make("div", { class: "records-tools" }, search_, this.note, this.counts),
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

  /** Name the records: objects, frames. */
  call(noun) {
    if (noun === this.noun) return;
    this.noun = noun;
    const { plural, search, selected } = NOUNS[noun];
    this.input.placeholder = phrase(search);
    this.input.setAttribute("aria-label", phrase(search));
    this.list.setAttribute("aria-label", phrase(plural));
    this.side.setAttribute("aria-label", phrase(selected));
  }

  /** Records have been added or dropped; nothing moves while paused. */
  update() {
    if (!this.#paused) this.#end = this.records.end;
    this.#extend();
    const follows = this.#follows && !this.#paused;
    this.rows.update(this.#count);
    if (follows) this.rows.scrollToEnd();
    this.#showCounts();
  }

  /** Stay at the beginning, whatever comes behind it. */
  stay() {
    this.#follows = false;
  }

  pause(paused) {
    this.#paused = paused;
    this.update();
  }

  missing(text) {
    setText(this.note, text);
  }

  /** Select the record with this index. */
  choose(index, notify = true) {
    const record = this.records.get(index);
    if (!record) return;
    this.#selected = index;
    this.list.setAttribute("aria-activedescendant", `${this.name}-${index}`);
    const position = this.#position(index);
    if (position >= 0) this.rows.show(position);
    this.#follows = this.#follows && index === this.#end - 1;
    this.rows.draw();
    this.#showDetail(record);
    if (notify) this.selected?.(record);
  }

  /** Handle a key; true if the list uses it. */
  pressed({ key }) {
    const last = this.#count - 1;
    const at = this.#selected === null ? -1 : this.#position(this.#selected);
    const to = rowAfter(key, { at, last, page: this.rows.visible });
    if (to === undefined || last < 0) return false;
    this.list.focus({ preventScroll: true });
    this.choose(this.#index(to));
    return true;
  }

  // -- positions in the list, indices of the records

  get #count() {
    return this.#found ? this.#found.length : Math.max(0, this.#end - this.records.first);
  }

  #index(position) {
    return this.#found ? this.#found[position] : this.records.first + position;
  }

  #position(index) {
    return this.#found ? this.#found.indexOf(index) : index - this.records.first;
  }

  #search(query) {
    this.#query = query.toLowerCase();
    this.#found = query === "" ? null : [];
    this.#searched = this.records.first;
    this.update();
  }

  #extend() {
    if (!this.#found) return;
    if (this.#found[0] < this.records.first) {
      this.#found = this.#found.filter((index) => index >= this.records.first);
    }
    for (let index = Math.max(this.#searched, this.records.first); index < this.#end; index += 1) {
      if (this.search(this.records.get(index)).toLowerCase().includes(this.#query)) this.#found.push(index);
    }
    this.#searched = this.#end;
  }

  #showCounts() {
    const all = this.records.end;
    const waiting = all - this.#end;
    const { one, many } = NOUNS[this.noun];
    const paused = this.#paused ? `${phrase("paused, {0} new", count(waiting))}  ·  ` : "";
    const shown = this.#found
      ? phrase(many, phrase("{0} of {1}", count(this.#found.length), count(this.#end)))
      : phrase(all === 1 ? one : many, count(this.#end));
    setText(this.counts, `${paused}${shown}`);
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
    const record = this.records.get(index);
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
    // Until one is selected, the list takes the whole width.
    this.side.hidden = !record;
    if (record) this.side.replaceChildren(...this.detail(record));
    this.side.scrollTop = 0;
  }
}

function captions(columns) {
  const cells = columns.map(({ key, end, label }) =>
    make("span", { class: `field ${key}${end ? " end" : ""}` }, label ? phrase(label) : ""),
  );
  return make("div", { class: "captions", "aria-hidden": "true" }, ...cells);
}
