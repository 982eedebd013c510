// One line for each connection that a kept stream has had, below the waterfall.

import { make, setClass, setText } from "../web/dom.js";
import { connectionHeading, connectionRows } from "./connection_rows.js";

export class Connections {
  #kept = null;
  #at = 0; // when it came
  #rows = [];

  /** `own`: the id of the exchange that is shown. */
  constructor(own) {
    this.own = own;
    this.heading = make("h2", {});
    this.list = make("ol", {});
    this.element = make("section", { class: "connections", hidden: true, "data-testid": "connections" }, this.heading, this.list);
  }

  /** What the feed tells of the stream. */
  receive(kept) {
    this.#kept = kept;
    this.#at = performance.now() / 1000;
    this.show();
  }

  /** Draw it as it is now. */
  show() {
    const kept = this.#kept;
    this.element.hidden = kept === null;
    if (kept === null) return;
    setText(this.heading, connectionHeading(kept));
    const rows = connectionRows(kept, performance.now() / 1000 - this.#at);
    while (this.#rows.length > rows.length) this.#rows.pop().element.remove();
    rows.forEach((row, at) => {
      this.#rows[at] ??= this.#make();
      this.#fill(this.#rows[at], row);
    });
  }

  #make() {
    const label = make("a", { class: "who" });
    const bar = make("span", { class: "bar" });
    const words = make("span", { class: "words" });
    const rail = make("span", { class: "rail", "aria-hidden": "true" }, bar);
    const element = make("li", { "data-testid": "connection" }, label, rail, words);
    this.list.append(element);
    return { element, label, bar, words };
  }

  #fill({ element, label, bar, words }, row) {
    const own = row.exchange === this.own;
    setText(label, row.label);
    setText(words, row.words);
    words.title = row.words;
    if (row.exchange === null || own) label.removeAttribute("href");
    else label.setAttribute("href", `#${row.exchange}`);
    if (own) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    setClass(bar, `bar ${row.state}${row.open ? " open" : ""}`);
    bar.style.left = `${row.left * 100}%`;
    bar.style.width = `${row.width * 100}%`;
  }
}
