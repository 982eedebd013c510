// The verdict on a stream in one sentence: who was slow. Pure: a row in, text out.

import { bytes, counted, duration } from "../web/quantities.js";

const AT_ONCE = 0.0001; // seconds; a shorter hold is within one turn of the event loop
const NOTICED = 0.1; // seconds; nobody notices a shorter hold

/** {kind, text}: "good", "wait" or "bad", and the sentence. */
export function judge(row, stall) {
  if (row.file) return recorded(row, stall);
  if (row.error) return { kind: "bad", text: capital(row.error) };
  if (row.verdict === "truncated") {
    return { kind: "bad", text: `The upstream ended the stream well framed, but without the end that ${row.family} has.` };
  }
  if (row.verdict === "error") return { kind: "bad", text: "The upstream told of an error inside the stream." };
  if (row.holding >= NOTICED) {
    return {
      kind: "bad",
      text: `The client reads slowly: data has been waiting for ${duration(row.holding)}.`,
    };
  }
  if (row.phase === "connecting") return wait("Connecting to the upstream.");
  if (row.phase === "waiting") return wait("Waiting for the upstream's first byte.");
  if (!row.pieces) return { kind: "good", text: "No body was relayed." };
  if (row.longest_hold >= NOTICED) {
    return {
      kind: "bad",
      text: `The client read slowly: a piece waited up to ${duration(row.longest_hold)}.`,
    };
  }
  return relayed(row, stall);
}

function relayed(row, stall) {
  const within = row.longest_hold < AT_ONCE ? "immediately" : `within ${duration(row.longest_hold)}`;
  if (row.bursts) return wait(`Every piece was forwarded ${within}; the upstream itself sends in bursts: ${row.bursts}.`);
  if (row.pieces === 1) return { kind: "good", text: `One piece, forwarded ${within}.` };
  const passed = `Every piece was forwarded ${within}`;
  if (row.longest_gap >= stall) {
    return {
      kind: "wait",
      text: `${passed}; the gap of ${duration(row.longest_gap)} comes from the upstream.`,
    };
  }
  const total = `${counted(row.pieces, "piece")}, ${bytes(row.bytes)}`;
  return { kind: "good", text: `${passed}: ${total}.` };
}

/** Of a file: what the upstream did. What became of it then is not in it. */
function recorded(row, stall) {
  if (row.error) return { kind: "bad", text: capital(row.error) };
  if (!row.pieces) return wait("The file has no response body.");
  if (row.file.unknown.includes("times")) return wait("The file does not say when each piece came.");
  const total = `${counted(row.pieces, "piece")}, ${bytes(row.bytes)} in ${duration(row.duration)}`;
  if (row.pieces > 1 && row.longest_gap >= stall) {
    return wait(`${total}; the longest gap is ${duration(row.longest_gap)}.`);
  }
  return { kind: "good", text: `${total}.` };
}

function wait(text) {
  return { kind: "wait", text };
}

function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
