// permessage-deflate (RFC 7692), one direction: coded messages in, bytes out.
//
// One stream inflates all messages, since each may refer to those before it.

import { concat } from "./bytes_text.js";

const TAIL = new Uint8Array([0x00, 0x00, 0xff, 0xff]); // §7.2.2 puts it back
export const LONGEST = 4 * 1024 * 1024; // bytes of one message, inflated

export class Inflater {
  #writer = null;
  #output = [];
  #size = 0;

  /**
   * The message in `payload`, or null if it cannot be inflated: its beginning is
   * missing, or it is broken.
   */
  async inflate(payload) {
    if (!this.#writer) this.#begin();
    this.#output = [];
    this.#size = 0;
    try {
      await this.#writer.write(payload);
      await this.#writer.write(TAIL);
    } catch {
      this.#writer = null;
      return null;
    }
    await turn();
    return concat(this.#output);
  }

  #begin() {
    const stream = new DecompressionStream("deflate-raw");
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
    this.#read(stream.readable.getReader());
  }

  async #read(reader) {
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        if (this.#size < LONGEST) this.#output.push(value);
        this.#size += value.length;
      }
    } catch {
      // The writer fails too.
    }
  }
}

// The stream's output is read in microtasks; all of them run before this.
export function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
