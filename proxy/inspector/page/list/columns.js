// The columns of the list: what each shows of an exchange. Pure.

import { inShort } from "../web/model_answer.js";
import { bytes, count, duration, NOTHING, rate } from "../web/quantities.js";

export const SLOW = 0.1; // seconds of hold that are worth a colour
export const LONG = 5; // seconds of gap that are worth a colour

const failed = (entry) => (entry.isFailed ? "bad" : "");

/** {key, label, title, end, text(entry, now), mark(entry, now)}; `key` sorts. */
export const COLUMNS = [
  {
    key: "route",
    label: "Route",
    title: "The configured route that matched",
    text: ({ row }) => row.route ?? "no route",
    mark: () => "soft",
  },
  { key: "method", label: "Method", title: "Method", text: ({ row }) => row.method },
  {
    key: "target",
    label: "Path",
    title: "Path and query as sent by the client",
    text: ({ row }) => row.target,
    mark: () => "path",
  },
  {
    key: "status",
    label: "Status",
    title: "Status as sent to the client",
    end: true,
    text: ({ row }) => (row.status ? String(row.status) : NOTHING),
    mark: ({ row }) => (row.status >= 400 ? "bad" : ""),
  },
  {
    key: "age",
    label: "Age",
    title: "Time since the request started; for an ended exchange, its duration",
    end: true,
    text: (entry, now) => duration(entry.age(now)),
  },
  {
    key: "pieces",
    label: "Pieces",
    title: "Reads of the response body; each one is forwarded separately",
    end: true,
    text: ({ row }) => count(row.pieces),
  },
  {
    key: "bytes",
    label: "Bytes",
    title: "Bytes of the response body",
    end: true,
    text: ({ row }) => bytes(row.bytes),
  },
  {
    key: "rate",
    label: "Rate",
    title: "Average over the last five seconds; for an ended exchange, over its whole duration",
    end: true,
    text: (entry, now) => rate(entry.rate(now)),
  },
  {
    key: "gap",
    label: "Longest gap",
    title: "Longest time between two pieces from the upstream",
    end: true,
    text: ({ row }) => (row.pieces > 1 ? duration(row.longest_gap) : NOTHING),
    mark: ({ row }) => (row.pieces > 1 && row.longest_gap >= LONG ? "wait" : ""),
  },
  {
    key: "hold",
    label: "Longest hold",
    title: "Longest time between receiving a piece and sending it to the client",
    end: true,
    text: (entry, now) => (entry.row.pieces ? duration(entry.hold(now)) : NOTHING),
    mark: (entry, now) => (entry.hold(now) >= SLOW ? "wait" : ""),
  },
  {
    key: "ending",
    label: "Ended by",
    title: "How it ended; while it is open, its phase",
    text: ending,
    mark: (entry) => failed(entry) || "soft",
  },
];

function ending({ row, isOpen }) {
  if (row.error) return row.error;
  if (row.verdict === "truncated" || row.verdict === "error") return `${row.verdict}, ${row.family}`;
  if (!isOpen) return [row.ending ?? "ended", inShort(row.answer)].filter(Boolean).join(", ");
  if (row.holding) return "waiting for the client";
  return [row.phase, inShort(row.answer)].filter(Boolean).join(", ");
}
