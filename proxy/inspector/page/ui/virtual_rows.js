// A list of any length; only its visible rows are in the document.

import { AnimationFrame } from "../web/animation_frame.js";

const BEYOND = 6; // rows above and below the visible ones

export class VirtualRows {
  #rows = new Map(); // index: element
  #spare = [];
  #frame = new AnimationFrame(() => this.#draw());

  /** `viewport` scrolls; `make()` gives a row, `fill(row, index)` its content. */
  constructor(viewport, { height, make, fill }) {
    this.viewport = viewport;
    this.height = height;
    this.make = make;
    this.fill = fill;
    this.count = 0;
    this.space = document.createElement("div");
    this.space.className = "space";
    this.space.role = "presentation";
    viewport.append(this.space);
    viewport.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(viewport);
  }

  /** Set the number of rows; any of them may have changed. */
  update(count) {
    this.count = count;
    this.space.style.height = `${count * this.height}px`;
    this.draw();
  }

  /** Let rows have another height; what is at the top stays there. */
  resize(height) {
    const top = this.viewport.scrollTop / this.height;
    this.height = height;
    for (const row of [...this.#rows.values(), ...this.#spare]) row.remove();
    this.#rows.clear();
    this.#spare = [];
    this.update(this.count);
    this.viewport.scrollTop = top * height;
  }

  draw() {
    this.#frame.request();
  }

  get visible() {
    return Math.max(1, Math.floor(this.viewport.clientHeight / this.height));
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.viewport;
    return scrollHeight - scrollTop - clientHeight < this.height;
  }

  scrollToEnd() {
    this.viewport.scrollTop = this.count * this.height;
  }

  /** Scroll no further than needed to show a row. */
  show(index) {
    const top = index * this.height;
    const { scrollTop, clientHeight } = this.viewport;
    if (top < scrollTop) this.viewport.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) {
      this.viewport.scrollTop = top + this.height - clientHeight;
    }
    this.draw();
  }

  #draw() {
    const { scrollTop, clientHeight } = this.viewport;
    if (clientHeight === 0) return;
    const from = Math.max(0, Math.floor(scrollTop / this.height) - BEYOND);
    const till = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / this.height) + BEYOND);
    for (const [index, row] of this.#rows) {
      if (index >= from && index < till) continue;
      this.#rows.delete(index);
      this.#retire(row);
    }
    for (let index = from; index < till; index += 1) this.fill(this.#row(index), index);
    for (const row of this.#spare.splice(BEYOND)) row.remove();
  }

  // A hidden row keeps no id: no two elements may share one.
  #retire(row) {
    row.hidden = true;
    row.removeAttribute("id");
    row.removeAttribute("aria-selected");
    this.#spare.push(row);
  }

  #row(index) {
    let row = this.#rows.get(index);
    if (row) return row;
    row = this.#spare.pop() ?? this.#made();
    row.hidden = false;
    row.style.transform = `translateY(${index * this.height}px)`;
    this.#rows.set(index, row);
    return row;
  }

  #made() {
    const row = this.make();
    row.style.height = `${this.height}px`;
    this.space.append(row);
    return row;
  }
}
