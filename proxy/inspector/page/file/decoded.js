// The pieces of a file without their content coding, as the proxy decodes live ones.

import { concat } from "../decode/bytes_text.js";
import { turn } from "../decode/inflater.js";

const FORMATS = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" }; // what browsers offer

/** The exchange and its pieces, decoded if that can be done here; the same otherwise. */
export async function withoutCoding({ exchange, pieces }) {
  const fields = exchange.response.received;
  const found = fields.find(([name]) => name.toLowerCase() === "content-encoding");
  const format = FORMATS[found?.[1].trim().toLowerCase()];
  const coded = pieces.filter(({ side }) => side === "response");
  if (!format || !coded.length) return { exchange, pieces };
  const payloads = await decompressed(coded.map(({ payload }) => payload), format);
  if (payloads === null) return { exchange, pieces };
  const plain = pieces.map((piece) => (piece.side === "response" ? { ...piece, payload: payloads.shift() } : piece));
  const sent = fields.filter((field) => field !== found);
  return { exchange: { ...exchange, coded: [format], response: { ...exchange.response, sent } }, pieces: plain };
}

/** What each piece makes known; null: they are broken. */
async function decompressed(payloads, format) {
  const stream = new DecompressionStream(format);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  writer.closed.catch(() => {});
  let output = [];
  let broken = false;
  const reading = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      output.push(value);
    }
  })().catch(() => {
    broken = true;
  });
  const found = [];
  for (const payload of payloads) {
    try {
      await writer.write(payload);
    } catch {
      return null;
    }
    await turn();
    found.push(concat(output));
    output = [];
  }
  writer.close().catch(() => {}); // one that is cut off shows what it has
  await reading;
  return broken && found.every(({ length }) => length === 0) ? null : found;
}
