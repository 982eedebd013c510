// Event streams (WHATWG HTML §9.2.6), read incrementally: text in, events out.
//
// Reports more than EventSource does: comments, `retry`, and events without data,
// which a browser does not dispatch. A piece may end anywhere.

export const LONGEST = 1024 * 1024; // characters of one event; the rest is dropped

export class EventStreamReader {
  #rest = "";
  #length = 0; // characters of the event so far
  #first = true;
  #afterCR = false;
  #data = [];
  #type = "";
  #id = "";
  #retry = null;
  #cut = false;

  /** What `text` completes: {data, type, id, retry, cut, dispatched} or {comment}. */
  push(text) {
    let all = text;
    if (all === "") return [];
    // A CR ends its line at once; the LF that may follow it belongs to it.
    if (this.#afterCR && all[0] === "\n") all = all.slice(1);
    this.#afterCR = all === "" ? false : all.endsWith("\r");
    if (this.#first && all !== "") {
      this.#first = false;
      all = all.replace(/^\uFEFF/, "");
    }
    const lines = (this.#rest + all).split(/\r\n|\n|\r/);
    this.#rest = this.#bounded(lines.pop());
    return lines.map((line) => this.#line(line)).filter(Boolean);
  }

  /** The lines of an event that the stream never completed; a browser drops it. */
  unfinished() {
    const rest = this.#rest && !this.#rest.startsWith(":") ? [this.#rest] : [];
    return [...this.#data.map((line) => `data: ${line}`), ...rest].join("\n");
  }

  #bounded(line) {
    const room = Math.max(0, LONGEST - this.#length);
    if (line.length <= room) return line;
    this.#cut = true;
    return line.slice(0, room);
  }

  #line(whole) {
    if (whole === "") return this.#dispatch();
    const line = this.#bounded(whole);
    if (line === "") return null;
    if (line[0] === ":") return { comment: line.slice(line[1] === " " ? 2 : 1) };
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const start = line[colon + 1] === " " ? colon + 2 : colon + 1;
    this.#field(name, colon < 0 ? "" : line.slice(start));
    return null;
  }

  #field(name, value) {
    this.#length += value.length;
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retry = Number(value);
  }

  #dispatch() {
    const [lines, type, retry, cut] = [this.#data, this.#type, this.#retry, this.#cut];
    this.#data = [];
    this.#type = "";
    this.#retry = null;
    this.#length = 0;
    this.#cut = false;
    const empty = lines.length === 0;
    if (empty && type === "" && retry === null) return null;
    return {
      data: lines.join("\n"),
      type: type || "message",
      id: this.#id,
      retry,
      cut,
      // A browser does not dispatch an event without a data field.
      dispatched: !empty,
    };
  }
}
