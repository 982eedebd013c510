// The columns of the list: what each says of an exchange. Pure.

import { bytes, count, duration, NOTHING, rate } from "./format.js";

export const SLOW = 0.1; // seconds of hold that are worth a colour
export const LONG = 5; // seconds of gap that are worth a colour

const failed = (entry) => (entry.isFailed ? "bad" : "");

/** {key, label, title, end, text(entry, now), mark(entry, now)}; `key` sorts. */
export const COLUMNS = [
  {
    key: "route",
    label: "Route",
    title: "The route of the configuration that matched",
    text: ({ row }) => row.route ?? "no route",
    mark: () => "soft",
  },
  { key: "method", label: "Method", title: "Method", text: ({ row }) => row.method },
  {
    key: "target",
    label: "Path",
    title: "Path and query, as the client sent them",
    text: ({ row }) => row.target,
    mark: () => "path",
  },
  {
    key: "status",
    label: "Status",
    title: "Status as the client got it",
    end: true,
    text: ({ row }) => (row.status ? String(row.status) : NOTHING),
    mark: ({ row }) => (row.status >= 400 ? "bad" : ""),
  },
  {
    key: "age",
    label: "Age",
    title: "Time since the request began; for what is over, how long it took",
    end: true,
    text: (entry, now) => duration(entry.age(now)),
  },
  {
    key: "pieces",
    label: "Pieces",
    title: "Reads of the response body; each was passed on by itself",
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
    title: "Over the last five seconds; for what is over, over all",
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
    title: "Longest time from the arrival of a piece until the client took it",
    end: true,
    text: (entry, now) => (entry.row.pieces ? duration(entry.hold(now)) : NOTHING),
    mark: (entry, now) => (entry.hold(now) >= SLOW ? "wait" : ""),
  },
  {
    key: "ending",
    label: "Ended by",
    title: "How it ended; while it is open, where it stands",
    text: ending,
    mark: (entry) => failed(entry) || "soft",
  },
];

function ending({ row, isOpen }) {
  if (row.error) return row.error;
  if (!isOpen) return row.ending ?? "over";
  if (row.holding) return "waits for the client";
  return row.phase;
}
