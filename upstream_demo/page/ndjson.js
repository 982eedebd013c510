// NDJSON, read incrementally: bytes in, values out.
//
// Knows nothing of where the bytes come from. A read may end inside a line or
// inside a character; both wait here for the rest.

export class NdjsonReader {
  #decoder = new TextDecoder();
  #rest = "";

  /** The values of the lines that `piece` (a Uint8Array) completes. */
  push(piece) {
    return this.#take(this.#decoder.decode(piece, { stream: true }));
  }

  /** The value of a last line without a line end. Call once, at the clean end. */
  finish() {
    return this.#take(`${this.#decoder.decode()}\n`);
  }

  #take(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    return lines.filter((line) => line.trim() !== "").map(parse);
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new SyntaxError(`not a line of JSON: ${line.slice(0, 80)}`, { cause });
  }
}
