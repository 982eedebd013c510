// The exchanges of the list: kept up to date, filtered, sorted. Pure.

import { isOfKind, matcher } from "./filter.js";

const WINDOW = 5; // seconds over which a rate is taken

export const SORTS = {
  route: (entry) => entry.row.route ?? "",
  method: (entry) => entry.row.method,
  target: (entry) => entry.row.target,
  status: (entry) => entry.row.status ?? 0,
  started: (entry) => entry.row.started,
  age: (entry, now) => entry.age(now),
  pieces: (entry) => entry.row.pieces,
  bytes: (entry) => entry.row.bytes,
  rate: (entry, now) => entry.rate(now),
  gap: (entry) => entry.row.longest_gap ?? 0,
  hold: (entry, now) => entry.hold(now),
  ending: (entry) => entry.row.error ?? entry.row.ending ?? entry.row.phase,
};

/** One row of the feed, and what changes with time alone. Times in seconds of one clock. */
export class Entry {
  constructor(row, now) {
    this.samples = [];
    this.update(row, now);
  }

  update(row, now) {
    this.row = row;
    this.at = now;
    this.samples.push([now, row.bytes]);
    while (this.samples.length > 2 && now - this.samples[1][0] > WINDOW) this.samples.shift();
  }

  get isOpen() {
    return this.row.phase !== "over";
  }

  /** Is it one that may be silent for as long as it likes? */
  get isTunnel() {
    return this.row.kind === "websocket";
  }

  get isFailed() {
    const { error, status, verdict } = this.row;
    return Boolean(error) || status >= 500 || verdict === "truncated" || verdict === "error";
  }

  age(now) {
    if (this.row.duration !== null && this.row.duration !== undefined) return this.row.duration;
    return this.row.age + (now - this.at);
  }

  hold(now) {
    const { holding, longest_hold: longest } = this.row;
    if (holding === null || holding === undefined || !this.isOpen) return longest ?? 0;
    return Math.max(longest ?? 0, holding + (now - this.at));
  }

  /** Bytes per second: over the last seconds while open, over the whole duration once ended. */
  rate(now) {
    const { row } = this;
    if (!this.isOpen) return row.duration ? row.bytes / row.duration : 0;
    const recent = this.samples.filter(([time]) => now - time <= WINDOW);
    const before = this.samples[this.samples.length - recent.length - 1] ?? recent[0];
    if (!before || recent.length === 0) return 0;
    const span = Math.max(1, Math.min(WINDOW, now - before[0]));
    return (row.bytes - before[1]) / span;
  }
}

export class Exchanges {
  entries = new Map();
  #more = new Map(); // by worker: how many open ones it leaves out

  /** Apply an event of the feed; `fresh`: the first after a (re)connection, which has all. */
  apply({ open = [], ended = [], gone = [], worker, more = 0 }, fresh, now) {
    const before = this.entries;
    if (fresh) {
      this.entries = new Map();
      this.#more.clear();
    }
    if (worker !== undefined) this.#more.set(worker, more);
    for (const row of [...open, ...ended]) {
      const known = before.get(row.id);
      if (known) known.update(row, now);
      this.entries.set(row.id, known ?? new Entry(row, now));
    }
    for (const id of gone) this.entries.delete(id);
  }

  get open() {
    let count = 0;
    for (const entry of this.entries.values()) count += entry.isOpen;
    return count;
  }

  /** How many open exchanges the proxy leaves out of the feed. */
  get more() {
    let count = 0;
    for (const each of this.#more.values()) count += each;
    return count;
  }

  /** The entries that a filter lets through, in order. */
  view({ text = "", kind = "", phase = "all", ids = null, sort = null, descending = true }, now) {
    const matches = matcher(text);
    const found = [...this.entries.values()].filter(
      (entry) =>
        inPhase(entry, phase) &&
        isOfKind(entry.row, kind) &&
        (ids === null || ids.has(entry.row.id)) &&
        matches(entry.row),
    );
    return found.sort(sort ? by(SORTS[sort], descending, now) : openThenNewest);
  }

  /** The id of the exchange with this request id; of the newest whose path begins so. */
  find({ request, path }) {
    let found = null;
    for (const { row } of this.entries.values()) {
      const isMeant = request === undefined ? row.target.startsWith(path) : row.request_id === request;
      if (isMeant && (found === null || row.started >= found.started)) found = row;
    }
    return found?.id ?? null;
  }
}

function inPhase(entry, phase) {
  if (phase === "open") return entry.isOpen;
  if (phase === "ended") return !entry.isOpen;
  if (phase === "failed") return entry.isFailed;
  return true;
}

function by(value, descending, now) {
  const sign = descending ? -1 : 1;
  return (one, other) => {
    const [a, b] = [value(one, now), value(other, now)];
    if (a === b) return openThenNewest(one, other);
    return a < b ? -sign : sign;
  };
}

function openThenNewest(one, other) {
  return other.isOpen - one.isOpen || other.row.started - one.row.started || order(one, other);
}

function order(one, other) {
  return one.row.id < other.row.id ? 1 : -1;
}
