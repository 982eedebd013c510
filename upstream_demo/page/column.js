// One column of the comparison: a stream, its messages and its verdict.

import { judge } from "./arrival_verdict.js";
import { offer } from "./inspector_link.js";
import { appendMessage } from "./messages.js";
import { LAST, readEventSource } from "./streams.js";
import { phrase, say } from "./text.js";
import { testid } from "./web/dom.js";
import { seconds } from "./web/quantities.js";

const OVER = ["idle", "closed", "error"];

export class Column {
  #parts;
  #close = () => {};
  #arrivals = [];
  #onMark;

  /** `onMark(kind, time)` hears of each "mark" (a message) and of the "end". */
  constructor({ name, live }, template, onMark) {
    this.#onMark = onMark;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.dataset.testid = `column-${name}`;
    this.element.classList.toggle("live", live);
    const find = (selector) => this.element.querySelector(selector);
    this.#parts = {
      state: testid("state", this.element),
      messages: testid("messages", this.element),
      waiting: find(".waiting"),
      verdict: testid("verdict", this.element),
      watch: find(".watch"),
    };
    say(find("h2"), `${name}.title`);
    say(find(".path"), `${name}.path`);
    say(this.#parts.watch, "watch");
    this.#enter("idle");
  }

  get running() {
    return !OVER.includes(this.element.dataset.state);
  }

  /** Read `url` from now on; undefined: nobody knows where it is. */
  start(url, startedAt) {
    this.clear();
    if (!url) {
      this.#fail("verdict.unknown");
      return;
    }
    const sinceStart = () => performance.now() - startedAt;
    this.#enter("connecting");
    // What does not come through the proxy is not in its inspector.
    if (this.element.classList.contains("live")) offer(this.#parts.watch);
    this.#close = readEventSource(url, {
      onState: (state) => this.#stateChanged(state, sinceStart()),
      onEvent: ({ data }) => this.#arrived(data, sinceStart()),
    });
  }

  /** Stop reading and forget what came. */
  clear() {
    this.#enter("idle");
    this.#close();
    this.#close = () => {};
    this.#arrivals = [];
    this.#parts.messages.replaceChildren();
    this.#parts.waiting.textContent = "";
    this.#parts.verdict.replaceChildren();
    delete this.#parts.verdict.dataset.text;
    delete this.element.dataset.verdict;
  }

  /** Show how long this column has been at it. */
  tick(time) {
    if (!this.running) return;
    const count = this.#arrivals.length;
    const waited = seconds(time / 1000, 1);
    this.#parts.waiting.textContent = count
      ? phrase("arriving", count, waited)
      : phrase("waiting", waited);
  }

  #arrived(data, time) {
    if (data === LAST) {
      const { kind, key, values } = judge(this.#arrivals);
      this.#conclude(kind, key, ...values);
      this.#onMark("end", time);
      return;
    }
    this.#arrivals.push(time);
    appendMessage(this.#parts.messages, data, time);
    this.#onMark("mark", time);
  }

  #stateChanged(state, time) {
    // A column that was cleared or has failed has had its last word.
    if (!this.running) return;
    if (state !== "error") {
      this.#enter(state);
      return;
    }
    const count = this.#arrivals.length;
    this.#fail(count ? "verdict.broken" : "verdict.unreachable", count);
    this.#onMark("end", time);
  }

  #fail(key, ...values) {
    this.#enter("error");
    this.#conclude("failed", key, ...values);
    this.#close(); // or EventSource would try again
  }

  #conclude(kind, key, ...values) {
    this.element.dataset.verdict = kind;
    this.#parts.waiting.textContent = "";
    say(this.#parts.verdict, key, ...values);
  }

  #enter(state) {
    this.element.dataset.state = state;
    say(this.#parts.state, `state.${state}`);
  }
}
