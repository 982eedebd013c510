// The list of exchanges: live, filtered, sorted; only visible rows are drawn.

import { isTyping, rowAfter } from "../ui/keys.js";
import { VirtualRows } from "../ui/virtual_rows.js";
import { make, setClass, setText, testid } from "../web/dom.js";
import { counted, phrase } from "../web/language.js";
import { count } from "../web/quantities.js";
import { COLUMNS } from "./columns.js";

const ROW = 30; // pixels; as in exchange_list.css
const PHONE_ROW = 50; // two lines
const PHONE = matchMedia("(max-width: 620px)"); // as in exchange_list.css
const TICK = 1000; // milliseconds between updates of ages and rates
const KINDS = {
  "event-stream": "SSE",
  ndjson: "NDJSON",
  websocket: "WS",
  json: "JSON",
  other: "",
};

export class ExchangeList {
  #filter = { text: "", kind: "", phase: "all", ids: null, sort: null, descending: true };
  #view = [];
  #selected = null; // an id
  #paused = false;
  #now = 0;

  /** `open` is called with the id of the exchange to be shown. */
  constructor(exchanges, open) {
    this.exchanges = exchanges;
    this.open = open;
    this.routes = [];
    this.element = document.getElementById("list");
    this.grid = testid("grid");
    this.#head();
    this.rows = new VirtualRows(this.grid.querySelector(".grid-body"), {
      height: PHONE.matches ? PHONE_ROW : ROW,
      make: () => this.#row(),
      fill: (row, index) => this.#fill(row, index),
    });
    PHONE.addEventListener("change", () => this.rows.resize(PHONE.matches ? PHONE_ROW : ROW));
    this.#listen();
    setText(testid("pause"), phrase("Pause"));
    setInterval(() => this.#tick(), TICK);
  }

  /** The exchanges have changed. */
  changed() {
    if (this.#paused) return;
    this.#now = performance.now() / 1000;
    this.#view = this.exchanges.view(this.#filter, this.#now);
    this.rows.update(this.#view.length);
    this.#showCounts();
  }

  /** The list is shown again, with the row that was selected. */
  shown() {
    this.changed();
    if (this.#selected) this.grid.focus({ preventScroll: true });
  }

  /** Show only the exchanges that have these words. */
  search(text) {
    testid("filter").value = text;
    this.#choosePhase("all");
    this.#set({ text, kind: "", ids: null });
    testid("kind").value = "";
  }

  /** All is said again, in another language. */
  retell() {
    this.#head();
    this.#pause(this.#paused);
    this.rows.draw();
  }

  /** Show only the exchanges of a warning. */
  only(warning) {
    this.#filter.ids = new Set(warning.ids);
    this.#choosePhase("all");
    this.#pause(false);
    this.changed();
  }

  /** Handle a key; true if the list uses it. */
  pressed(event) {
    const { key, target } = event;
    if (isTyping(target)) return this.#typed(key, target);
    if (key === "/") testid("filter").select();
    else if (key === " " && !target.matches("button, a")) this.#pause(!this.#paused);
    else if (key === "Enter" && !target.matches("button, a") && this.#selected) this.open(this.#selected);
    else if (key === "Escape" && this.#isFiltered) this.#clear();
    else return this.#move(key);
    return true;
  }

  #typed(key, target) {
    const leaves = key === "Escape" || ((key === "Enter" || key === "ArrowDown") && target.type === "search");
    if (!leaves) return false;
    if (key === "Escape" && target.type === "search") {
      target.value = "";
      this.#set({ text: "" });
    }
    this.grid.focus();
    if (key !== "Escape") this.#select(0);
    return true;
  }

  #move(key) {
    const at = this.#view.findIndex((entry) => entry.row.id === this.#selected);
    const to = rowAfter(key, { at, last: this.#view.length - 1, page: this.rows.visible });
    if (to === undefined) return false;
    this.grid.focus();
    this.#select(to);
    return true;
  }

  #select(index) {
    const entry = this.#view[index];
    if (!entry) return;
    this.#selected = entry.row.id;
    this.grid.setAttribute("aria-activedescendant", `row-${entry.row.id}`);
    this.rows.show(index);
  }

  #listen() {
    testid("filter").addEventListener("input", (event) => this.#set({ text: event.target.value }));
    testid("kind").addEventListener("change", (event) => this.#set({ kind: event.target.value }));
    testid("phase").addEventListener("change", (event) => this.#set({ phase: event.target.value }));
    testid("pause").addEventListener("click", () => this.#pause(!this.#paused));
    this.grid.addEventListener("click", (event) => {
      const row = event.target.closest("[role=row]");
      if (!row?.dataset.id) return;
      this.#select(this.#view.findIndex((entry) => entry.row.id === row.dataset.id));
      this.open(row.dataset.id);
    });
  }

  #set(changes) {
    Object.assign(this.#filter, changes);
    this.#view = this.exchanges.view(this.#filter, performance.now() / 1000);
    this.rows.update(this.#view.length);
    this.#showCounts();
  }

  get #isFiltered() {
    const { text, kind, phase, ids } = this.#filter;
    return text !== "" || kind !== "" || phase !== "all" || ids !== null;
  }

  #clear() {
    testid("filter").value = "";
    testid("kind").value = "";
    this.#choosePhase("all");
    this.#set({ text: "", kind: "", ids: null });
  }

  #choosePhase(phase) {
    testid("phase").querySelector(`[value=${phase}]`).checked = true;
    this.#filter.phase = phase;
  }

  #pause(paused) {
    this.#paused = paused;
    const control = testid("pause");
    control.setAttribute("aria-pressed", String(paused));
    setText(control, phrase(paused ? "Resume" : "Pause"));
    this.element.dataset.paused = paused;
    if (!paused) this.changed();
    this.#showCounts();
  }

  #tick() {
    if (this.#paused || this.element.hidden) return;
    this.#now = performance.now() / 1000;
    if (["age", "rate", "hold"].includes(this.#filter.sort)) this.changed();
    else this.rows.draw();
  }

  #showCounts() {
    const { size } = this.exchanges.entries;
    const shown = this.#view.length;
    const paused = this.#paused ? `${phrase("paused")}  ·  ` : "";
    const part = shown === size ? counted(size, "{0} exchange", "{0} exchanges") : phrase("{0} of {1}", count(shown), count(size));
    setText(testid("shown"), `${paused}${part}`);
    this.grid.setAttribute("aria-rowcount", shown + 1);
    const empty = testid("empty");
    empty.hidden = shown > 0;
    if (shown === 0) empty.replaceChildren(...this.#nothing(size));
  }

  #nothing(size) {
    if (size > 0) return [make("p", {}, phrase("No exchange matches the filter. Press Esc to show all."))];
    const hint = phrase("Send a request to {0}; it appears here while it is running.", location.origin);
    return [make("p", { class: "headline" }, phrase("No requests yet.")), make("p", {}, hint), routeTable(this.routes)];
  }

  #head() {
    const cells = COLUMNS.map(({ key, label, title, end }) => {
      const control = make("button", { type: "button", title: phrase(title), "data-testid": `sort-${key}` }, phrase(label));
      control.addEventListener("click", () => this.#sort(key));
      const name = end ? `cell ${key} end` : `cell ${key}`;
      return make("span", { class: name, role: "columnheader", "data-key": key }, control);
    });
    this.grid.querySelector(".grid-head").replaceChildren(...cells);
    this.#showSort();
  }

  // Largest first, smallest first, and back to the order of arrival.
  #sort(key) {
    const { sort, descending } = this.#filter;
    if (sort !== key) this.#set({ sort: key, descending: true });
    else if (descending) this.#set({ descending: false });
    else this.#set({ sort: null, descending: true });
    this.#showSort();
  }

  #showSort() {
    for (const cell of this.grid.querySelectorAll("[role=columnheader]")) {
      if (cell.dataset.key !== this.#filter.sort) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", this.#filter.descending ? "descending" : "ascending");
    }
  }

  #row() {
    const row = make("div", { class: "row", role: "row" });
    row.cells = COLUMNS.map(({ key, end }) => {
      const name = end ? `cell ${key} end` : `cell ${key}`;
      const text = make("span", { class: "text" });
      const cell = make("span", { class: name, role: "gridcell", "data-testid": key }, text);
      if (key === "target") {
        cell.badge = make("span", { class: "badge" });
        cell.append(cell.badge);
      }
      row.append(cell);
      return { cell, text };
    });
    return row;
  }

  #fill(row, index) {
    const entry = this.#view[index];
    if (!entry) return;
    const { id, kind } = entry.row;
    row.dataset.id = id;
    row.id = `row-${id}`;
    row.setAttribute("aria-rowindex", index + 2);
    row.setAttribute("aria-selected", String(id === this.#selected));
    row.dataset.state = entry.isOpen ? "open" : "over";
    if (entry.isFailed) row.dataset.state = "failed";
    // What went wrong has the place of figures that say less.
    row.dataset.reason = !entry.row.error ? "" : entry.row.pieces ? "long" : "alone";
    COLUMNS.forEach((column, at) => {
      const { cell, text } = row.cells[at];
      const words = column.text(entry, this.#now);
      setText(text, words);
      setClass(text, `text ${column.mark?.(entry, this.#now) ?? ""}`);
      if (column.full) cell.title = column.full(entry);
      if (cell.badge) setText(cell.badge, KINDS[kind] ?? "");
    });
  }
}

function routeTable(routes) {
  const rows = routes.map((route) => {
    const [prefix, target] = described(route);
    return make("li", {}, make("code", {}, prefix), " → ", make("code", {}, target));
  });
  return make("ul", { class: "routes" }, ...rows);
}

function described(route) {
  if (typeof route === "string") return [route, ""];
  const target = route.target ?? route.targets ?? "";
  return [route.prefix ?? route.route ?? "", Array.isArray(target) ? target.join(", ") : target];
}
