// Export from the page: to the clipboard, and to files.

import { recordLines, recordName } from "./record_lines.js";

/** Copy text; false if the browser refuses. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

// Without TLS, a browser offers the clipboard API on loopback only.
function copyByCommand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Save parts as a file. */
export function save(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Save a stream as a record: see docs/records.md. */
export function saveRecord(exchange, recording) {
  const { pieces, holes } = recording;
  const scheme = location.protocol.replace(":", "");
  const lines = recordLines(exchange, pieces, { holes, scheme });
  save(recordName(exchange), lines, "application/jsonl");
}

/** Save the recorded part of the response body, as sent to the client. */
export function saveBody(exchange, recording) {
  const parts = [...recording.pieces]
    .filter((piece) => piece.side === "response" && piece.payload)
    .map((piece) => piece.payload);
  save(`${exchange.id}${suffix(exchange)}`, parts, "application/octet-stream");
}

const SUFFIXES = { "event-stream": ".sse", ndjson: ".ndjson", json: ".json", websocket: ".frames" };

function suffix(exchange) {
  return SUFFIXES[exchange.kind] ?? ".bin";
}
