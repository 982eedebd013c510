// The streams that are kept or shared, as the feed tells of them, and what is said of each.

import { counted, phrase } from "../web/language.js";
import { bytes, count, duration } from "../web/quantities.js";

export class KeptStreams {
  #streams = new Map();
  #more = new Map(); // by worker: how many it leaves out

  /** Forget all: the feed tells everything again. */
  clear() {
    this.#streams.clear();
    this.#more.clear();
  }

  /** Apply an event of the feed; `now` in seconds of any clock. */
  apply({ worker, streams = [], gone = [], more = 0 }, now) {
    for (const stream of streams) this.#streams.set(stream.id, { ...stream, at: now });
    for (const id of gone) this.#streams.delete(id);
    this.#more.set(worker, more);
  }

  get size() {
    return this.#streams.size;
  }

  /** How many the proxy leaves out. */
  get more() {
    return [...this.#more.values()].reduce((sum, each) => sum + each, 0);
  }

  /** Those that run first, then the newest. */
  get sorted() {
    return [...this.#streams.values()].sort(
      (one, other) => isRunning(other) - isRunning(one) || other.started - one.started,
    );
  }
}

export function isRunning({ state }) {
  return state === "running";
}

/** How old it is, or how long it took. */
export function ageOf(stream, now) {
  return isRunning(stream) ? stream.age + (now - stream.at) : (stream.ended ?? stream.age);
}

/** How it stands, in words: what it waits for, or how it ended and how long it is kept. */
export function standing(stream, now) {
  const left = stream.goes === null ? null : Math.max(0, stream.goes - (now - stream.at));
  if (isRunning(stream)) {
    if (stream.clients > 0 || stream.readers > 0) return phrase("running");
    return left === null ? phrase("running without a client") : phrase("running without a client, {0} left", duration(left));
  }
  const state = phrase(stream.state);
  return left === null ? state : phrase("{0}, kept for {1}", state, duration(left));
}

export function mark({ state, clients, readers }) {
  if (["error", "truncated", "lost"].includes(state)) return "bad";
  if (state === "running") return clients > 0 || readers > 0 ? "good" : "wait";
  return "soft";
}

/** Whose it is, where that is not this process alone; "": it is. */
export function placeOf({ kept, shared, followed }) {
  if (followed) return phrase("from the store");
  return shared && !kept ? phrase("shared only") : "";
}

/** Its clients: now, and all that it has had; and other processes that read it. */
export function clientsOf({ clients, visits, readers }) {
  const here = phrase("{0} of {1}", count(clients), count(visits));
  if (!readers) return here;
  return [here, counted(readers, "{0} other process", "{0} other processes")].join(phrase(", "));
}

/** Its bytes, and from which on they are kept. */
export function sizeOf(stream) {
  return stream.first ? phrase("{0}, from {1} on", bytes(stream.bytes), bytes(stream.first)) : bytes(stream.bytes);
}

/** The exchange of the last connection that can still be shown; null: none. */
export function exchangeOf({ connections }) {
  return connections.findLast((each) => each.exchange !== null)?.exchange ?? null;
}
