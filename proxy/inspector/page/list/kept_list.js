// The table of kept streams above the list of exchanges; hidden while there are none.

import { make, setClass, setText, testid } from "../web/dom.js";
import { phrase } from "../web/language.js";
import { count, duration } from "../web/quantities.js";
import { ageOf, clientsOf, exchangeOf, mark, placeOf, sizeOf, standing } from "./kept_streams.js";

const COLUMNS = [
  ["Stream", "The beginning of its ID"],
  ["Route", "The route that keeps or shares it"],
  ["Path", "Path and query as sent by its first client"],
  ["State", "What it waits for; how it ended; from the store: another process reads its upstream"],
  ["Age", "Time since it was asked for; of an ended stream, how long it took"],
  ["Bytes", "Length of the stream so far"],
  ["Clients", "Connections now, and in all; other processes that read it from the store"],
];
const MOST = 50; // rows
const TICK = 1000; // milliseconds between updates of ages

export class KeptList {
  #rows = new Map(); // by id

  constructor(streams) {
    this.streams = streams;
    this.element = testid("kept");
    this.heading = testid("kept-heading");
    this.head = make("tr", {});
    this.body = make("tbody", {});
    this.region = make("div", { class: "kept-rows", tabIndex: 0, role: "region" }, make("table", {}, make("thead", {}, this.head), this.body));
    this.element.append(this.region);
    this.retell();
    setInterval(() => this.#show(), TICK);
  }

  /** All is said again, in another language. */
  retell() {
    this.region.setAttribute("aria-label", phrase("Kept streams"));
    this.head.replaceChildren(...COLUMNS.map(([label, title]) => make("th", { scope: "col", title: phrase(title) }, phrase(label))));
    this.changed();
  }

  /** The streams have changed. */
  changed() {
    const { size, more } = this.streams;
    this.element.hidden = size === 0;
    const shown = this.streams.sorted.slice(0, MOST);
    const rest = size + more - shown.length;
    const all = count(size + more);
    setText(this.heading, rest > 0 ? phrase("Kept streams {0}, the newest {1} shown", all, count(shown.length)) : phrase("Kept streams {0}", all));
    const rows = new Map(shown.map((stream) => [stream.id, this.#rows.get(stream.id) ?? makeRow(stream)]));
    for (const stream of shown) rows.get(stream.id).stream = stream;
    this.#rows = rows;
    const elements = [...rows.values()].map(({ element }) => element);
    // To move what is in its place already would lose the focus.
    if (elements.some((element, at) => this.body.children[at] !== element) || elements.length !== this.body.children.length) {
      this.body.replaceChildren(...elements);
    }
    this.#show();
  }

  #show() {
    if (this.element.hidden) return;
    const now = performance.now() / 1000;
    for (const row of this.#rows.values()) fill(row, now);
  }
}

function makeRow(stream) {
  const link = make("a", { class: "path" }, stream.target);
  const cells = {
    id: make("td", { class: "mono" }, stream.id),
    route: make("td", { class: "soft" }, stream.route),
    path: make("td", { title: `${stream.method} ${stream.target}` }, link),
    state: make("td", {}),
    age: make("td", { class: "end" }),
    bytes: make("td", { class: "end" }),
    clients: make("td", { class: "end" }),
  };
  const element = make("tr", { "data-testid": "kept-stream", "data-id": stream.id }, ...Object.values(cells));
  return { element, cells, link, stream };
}

function fill({ cells, link, stream }, now) {
  const exchange = exchangeOf(stream);
  if (exchange === null) link.removeAttribute("href");
  else link.setAttribute("href", `#${exchange}`);
  const state = standing(stream, now);
  const place = placeOf(stream);
  setText(cells.state, [state, place].filter(Boolean).join(phrase(", ")));
  setClass(cells.state, mark(stream));
  cells.state.title = stream.error ?? state;
  setText(cells.age, duration(ageOf(stream, now)));
  setText(cells.bytes, sizeOf(stream));
  setText(cells.clients, clientsOf(stream));
}
