// Event streams (WHATWG HTML §9.2.6), read incrementally: text in, events out.
//
// For the readers that are not EventSource. A piece may end anywhere.

const FIELD = /^([^:]*):? ?(.*)$/s;

export class EventStreamReader {
  #rest = "";
  #first = true;
  #data = [];
  #type = "";
  #id = "";

  /** The events that `text` completes, each {data, type, id}. */
  push(text) {
    let all = this.#rest + text;
    if (this.#first && all !== "") {
      this.#first = false;
      all = all.replace(/^\uFEFF/, "");
    }
    // A final CR may be half of a CRLF: it waits for the next piece.
    const complete = all.endsWith("\r") ? all.slice(0, -1) : all;
    const lines = complete.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + all.slice(complete.length);
    return lines.map((line) => this.#line(line)).filter(Boolean);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const [, name, value] = FIELD.exec(line);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #dispatch() {
    const data = this.#data;
    const type = this.#type || "message";
    this.#data = [];
    this.#type = "";
    return data.length ? { data: data.join("\n"), type, id: this.#id } : null;
  }
}
