// The text of a model's answer, joined from its deltas.

import { make, setText } from "../web/dom.js";
import { phrase } from "../web/language.js";
import { count } from "../web/quantities.js";

/** "call 2" and "choice 2: answer" in the language of the page. */
export function channelName(channel) {
  return channel
    .split(": ")
    .map((part) => {
      const [, name, number] = /^(.*?)(?: (\d+))?$/.exec(part);
      return number ? `${phrase(name)} ${number}` : phrase(name);
    })
    .join(phrase(": "));
}

export class JoinedText {
  #parts = [];

  constructor(joined) {
    this.joined = joined;
    this.note = make("p", { class: "note wait", hidden: true });
    this.element = make("div", { class: "joined-text", tabIndex: 0, "data-testid": "joined-text" }, this.note);
  }

  /** Append what has been added since; existing text is left alone. */
  update() {
    const { element } = this;
    const follows = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    this.joined.parts.forEach((part, index) => this.#write(part, index));
    const { dropped } = this.joined;
    this.note.hidden = dropped === 0;
    setText(this.note, phrase("The text is truncated here: {0} more characters were dropped.", count(dropped)));
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
      make("h2", {}, channelName(channel)),
      make("p", {}, text),
    );
    this.note.before(part);
    return text;
  }
}
