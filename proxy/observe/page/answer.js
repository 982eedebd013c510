// The running text of an answer that comes in deltas.

import { make, setText } from "./dom.js";
import { count } from "./format.js";

export class Answer {
  #parts = [];

  constructor(joined) {
    this.joined = joined;
    this.note = make("p", { class: "note wait", hidden: true });
    this.element = make("div", { class: "answer", tabIndex: 0, "data-testid": "answer" }, this.note);
  }

  /** Write what has been added since; text that stands stays as it is. */
  update() {
    const { element } = this;
    const follows = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    this.joined.parts.forEach((part, index) => this.#write(part, index));
    const { dropped } = this.joined;
    this.note.hidden = dropped === 0;
    setText(this.note, `The text ends here: ${count(dropped)} more characters are not kept.`);
    if (follows) element.scrollTop = element.scrollHeight;
  }

  #write({ channel, text }, index) {
    const known = this.#parts[index] ?? this.#begin(channel, index);
    if (text.length === known.data.length) return;
    known.appendData(text.slice(known.data.length));
  }

  #begin(channel, index) {
    const text = document.createTextNode("");
    this.#parts[index] = text;
    const part = make(
      "section",
      { class: "part", "data-channel": channel.replace(/\W.*/, "") },
      make("h3", {}, channel),
      make("p", {}, text),
    );
    this.note.before(part);
    return text;
  }
}
