// The columns of the list: what each shows of an exchange.

import { errorName } from "../ui/words.js";
import { phrase } from "../web/language.js";
import { inShort } from "../web/model_answer.js";
import { bytes, clockTime, count, dateTime, duration, NOTHING, rate } from "../web/quantities.js";

export const SLOW = 0.1; // seconds of hold that are worth a colour
export const LONG = 5; // seconds of gap that are worth a colour

const isBad = ({ error, verdict }) => error || verdict === "truncated" || verdict === "error";

/**
 * {key, label, title, end, text(entry, now), mark(entry, now), full(entry)}; `key` sorts,
 * `full` is shown while the pointer rests on it.
 */
export const COLUMNS = [
  {
    key: "route",
    label: "Route",
    title: "The configured route that matched",
    text: ({ row }) => row.route ?? phrase("no route"),
    mark: () => "soft",
    full: ({ row }) => row.route ?? "",
  },
  { key: "method", label: "Method", title: "Method", text: ({ row }) => row.method },
  {
    key: "target",
    label: "Path",
    title: "Path and query as sent by the client",
    text: ({ row }) => row.target,
    mark: () => "path",
    full: ({ row }) => row.target,
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
    key: "started",
    label: "Started",
    title: "Time of day when the request came",
    end: true,
    text: ({ row }) => clockTime(row.started),
    full: ({ row }) => dateTime(row.started),
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
    mark: (entry) => (!entry.isTunnel && entry.row.pieces > 1 && entry.row.longest_gap >= LONG ? "wait" : ""),
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
    mark: ({ row }) => (isBad(row) ? "bad" : "soft"),
    full: ending,
  },
];

function ending({ row, isOpen }) {
  if (row.error) return [errorName(row.error_type, row.error), row.error].filter(Boolean).join(phrase(": "));
  if (row.verdict === "truncated" || row.verdict === "error") return [phrase(row.verdict), row.family].join(phrase(", "));
  if (!isOpen) return [phrase(row.ending ?? "ended"), inShort(row.answer)].filter(Boolean).join(phrase(", "));
  if (row.holding) return phrase("waiting for the client");
  return [phrase(row.phase), inShort(row.answer)].filter(Boolean).join(phrase(", "));
}
