// NDJSON, read incrementally: text in, lines out. A piece may end anywhere.

export const LONGEST = 1024 * 1024; // characters of one line; the rest is dropped

export class NdjsonReader {
  #rest = "";
  #cut = false;

  /** The lines that `text` completes: {data, cut, fault}. */
  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    const read = lines.map((line, index) => this.#read(line, index)).filter(Boolean);
    if (this.#rest.length > LONGEST) {
      this.#rest = this.#rest.slice(0, LONGEST);
      this.#cut = true;
    }
    return read;
  }

  /** The last line, if it has no line end. */
  finish() {
    const line = this.#rest;
    this.#rest = "";
    const read = this.#read(line, 0);
    return read ? [read] : [];
  }

  #read(line, index) {
    const cut = index === 0 && this.#cut;
    if (index === 0) this.#cut = false;
    // JSON Text Sequences (RFC 7464) start each text with a record separator.
    const data = line.replace(/^\x1e/, "").replace(/\r$/, "");
    if (data.trim() === "") return null;
    return { data, cut, fault: cut ? "cut" : faultOf(data) };
  }
}

function faultOf(line) {
  try {
    JSON.parse(line);
    return null;
  } catch (error) {
    return error.message;
  }
}
