// The verdict on a stream in one sentence: who was slow. Pure: a row in, text out.

import { errorName } from "../ui/words.js";
import { counted, phrase, translated } from "../web/language.js";
import { bytes, duration } from "../web/quantities.js";

const AT_ONCE = 0.0001; // seconds; a shorter hold is within one turn of the event loop
const NOTICED = 0.1; // seconds; nobody notices a shorter hold

/** {kind, text}: "good", "wait" or "bad", and the sentence. */
export function judge(row, stall) {
  if (row.file) return recorded(row, stall);
  if (row.error) return bad(failure(row));
  if (row.verdict === "truncated") {
    return bad(phrase("The upstream ended the stream well framed, but without the end that {0} has.", row.family));
  }
  if (row.verdict === "error") return bad(phrase("The upstream told of an error inside the stream."));
  if (row.holding >= NOTICED) {
    return bad(phrase("The client reads slowly: data has been waiting for {0}.", duration(row.holding)));
  }
  if (row.phase === "connecting") return wait(phrase("Connecting to the upstream."));
  if (row.phase === "waiting") return wait(phrase("Waiting for the upstream's first byte."));
  if (!row.pieces) return good(phrase(row.kind === "websocket" ? "The tunnel is open; nothing has come from the upstream yet." : "No body was relayed."));
  if (row.longest_hold >= NOTICED) {
    return bad(phrase("The client read slowly: a piece waited up to {0}.", duration(row.longest_hold)));
  }
  return relayed(row, stall);
}

function relayed(row, stall) {
  const within = row.longest_hold < AT_ONCE ? phrase("immediately") : phrase("within {0}", duration(row.longest_hold));
  if (row.bursts) return wait(phrase("Every piece was forwarded {0}; the upstream itself sends in bursts: {1}.", within, translated(row.bursts)));
  if (row.pieces === 1) return good(phrase("One piece, forwarded {0}.", within));
  // What a tunnel carries has a rhythm of its own: silence is no fault of anybody.
  if (row.longest_gap >= stall && row.kind !== "websocket") {
    return wait(phrase("Every piece was forwarded {0}; the gap of {1} comes from the upstream.", within, duration(row.longest_gap)));
  }
  return good(phrase("Every piece was forwarded {0}: {1}, {2}.", within, pieces(row), bytes(row.bytes)));
}

/** Of a file: what the upstream did. What became of it then is not in it. */
function recorded(row, stall) {
  if (row.error) return bad(failure(row));
  if (!row.pieces) return wait(phrase("The file has no response body."));
  if (row.file.unknown.includes("times")) return wait(phrase("The file does not say when each piece came."));
  const total = phrase("{0}, {1} in {2}", pieces(row), bytes(row.bytes), duration(row.duration));
  if (row.pieces > 1 && row.longest_gap >= stall && row.kind !== "websocket") {
    return wait(phrase("{0}; the longest gap is {1}.", total, duration(row.longest_gap)));
  }
  return good(phrase("{0}.", total));
}

/** Messages are in English, as in the log. */
function failure({ error, error_type: type }) {
  return [errorName(type, error), capital(error)].filter(Boolean).join(phrase(": "));
}

function pieces(row) {
  return counted(row.pieces, "{0} piece", "{0} pieces");
}

function good(text) {
  return { kind: "good", text };
}

function bad(text) {
  return { kind: "bad", text };
}

function wait(text) {
  return { kind: "wait", text };
}

function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
