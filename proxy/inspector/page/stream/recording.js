// What this page keeps of one exchange: pieces, events, joined text. Bounded.

import { unbase64 } from "../decode/bytes_text.js";
import { decodersFor } from "../decode/decoders.js";
import { Joiner } from "../decode/deltas.js";
import { unknownOf } from "../file/unknown.js";
import { counted, phrase } from "../web/language.js";
import { bytes as sized } from "../web/quantities.js";
import { BoundedList } from "./bounded_list.js";
import { NOUNS } from "./nouns.js";

const MIB = 1024 * 1024;
export const MOST = 100_000; // pieces, and events
const PIECES_HEAVIEST = 64 * MIB; // bytes
const EVENTS_HEAVIEST = 48 * MIB; // characters
const REQUEST_MOST = 2 * MIB; // bytes of a request body, for curl
const AT_A_TIME = 500; // pieces decoded before the page may draw again

export class Recording {
  #decoders = null;
  #waiting = [];
  #busy = false;
  #seen = { response: -1, request: -1, heartbeat: -1 };
  #last = { response: null, request: null, heartbeat: null };
  #ended = false;
  #exchange = null;
  #passed = 0; // bytes of the response that the feed has sent
  #unseen = { pieces: Infinity, bytes: Infinity }; // before the page was open, at most
  #hasBodies = false;
  #note = ""; // what a file does not know
  #previous = { response: null, request: null, heartbeat: null }; // when the last event of a side arrived

  /** `changed` is called after each part of the work. */
  constructor(changed) {
    this.changed = changed;
    this.pieces = new BoundedList({
      most: MOST,
      heaviest: PIECES_HEAVIEST,
      weigh: (piece) => piece.payload?.length ?? 0,
    });
    this.events = new BoundedList({
      most: MOST,
      heaviest: EVENTS_HEAVIEST,
      weigh: (event) => event.data.length + (event.bytes?.length ?? 0),
    });
    this.joined = new Joiner();
    this.dropped = { pieces: 0, bytes: 0 }; // by the proxy, before the feed could send them
    this.breaks = []; // seconds after which pieces are missing
    this.request = { parts: [], size: 0, whole: true };
    this.noun = null;
    this.version = 0; // rises with whatever changes in the pieces
  }

  /** The kind of the exchange is known: decode what has arrived, and what follows. */
  describe(exchange) {
    if (this.#decoders) return;
    if (exchange.phase === "connecting" || exchange.phase === "waiting") return;
    this.#exchange = exchange;
    this.#note = exchange.file ? unknownOf(exchange.file) : "";
    this.#decoders = decodersFor(exchange, exchange.whole === false || this.dropped.pieces > 0);
    this.noun = this.#decoders.noun;
    this.#work();
  }

  /** The proxy had to drop pieces: decoding starts over after them. */
  lose(dropped) {
    this.dropped = dropped;
    const last = this.pieces.get(this.pieces.end - 1);
    if (last) this.breaks.push(last.arrived);
    this.#last = { response: null, request: null, heartbeat: null };
    this.#previous = { response: null, request: null, heartbeat: null };
    if (this.#exchange) this.#decoders = decodersFor(this.#exchange, true);
    this.changed();
  }

  /** A row follows the pieces it counts: did some pass before the page was open? */
  compare(row) {
    const unseen = this.#unseen;
    const bytes = row.bytes - this.#passed - this.dropped.bytes;
    unseen.bytes = Math.max(0, Math.min(unseen.bytes, bytes));
    // Decoding changes the number of pieces.
    if (row.coded?.length) return;
    unseen.pieces = Math.max(0, Math.min(unseen.pieces, row.pieces - Math.max(0, this.#seen.response)));
  }

  /** Take pieces of the feed; known ones only get the time at which they were sent. */
  receive(batch) {
    for (const given of batch) {
      if (given.payload !== undefined) {
        this.#take({ ...given }); // of a file: each comes once
        continue;
      }
      if (given.n <= this.#seen[given.side]) {
        this.#update(given);
        continue;
      }
      this.#seen[given.side] = given.n;
      const payload = given.base64 === undefined ? null : unbase64(given.base64);
      const { base64, ...rest } = given;
      this.#take({ ...rest, payload });
    }
    this.#work();
  }

  end() {
    this.#ended = true;
    this.#work();
  }

  #update({ n, side, sent }) {
    for (let index = this.pieces.end - 1; index >= this.pieces.first; index -= 1) {
      const piece = this.pieces.get(index);
      if (piece.side === side && piece.n <= n) {
        if (piece.n === n) piece.sent = sent;
        this.version += 1;
        return;
      }
    }
  }

  #take(piece) {
    const before = this.#last[piece.side];
    piece.gap = before ? piece.arrived - before.arrived : null;
    piece.index = this.pieces.end;
    this.#last[piece.side] = piece;
    this.pieces.push(piece);
    this.version += 1;
    if (piece.side === "request") this.#keepRequest(piece);
    else if (piece.side === "response") this.#passed += piece.bytes;
    this.#waiting.push(piece);
  }

  #keepRequest({ payload, bytes }) {
    const { request } = this;
    if (!payload || payload.length < bytes || request.size + bytes > REQUEST_MOST) {
      request.whole = false;
    } else if (request.whole) {
      request.parts.push(payload);
      request.size += payload.length;
    }
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#decoders && this.#waiting.length) {
      for (const piece of this.#waiting.splice(0, AT_A_TIME)) await this.#decode(piece);
      this.changed();
      // Let the page draw and handle keys between two parts of a long replay.
      if (this.#waiting.length) await new Promise((resolve) => setTimeout(resolve));
    }
    this.#busy = false;
    if (this.#ended && this.#decoders && this.#last.response) {
      this.#ended = false;
      this.#add(this.#decoders.response?.finish(this.#last.response) ?? []);
    }
    this.changed();
  }

  async #decode(piece) {
    const decoder = this.#decoders[piece.side];
    this.#hasBodies ||= piece.payload !== null;
    if (!decoder || !this.#hasBodies) return;
    const found = decoder.push(piece);
    const events = found instanceof Promise ? await found : found;
    piece.event = events.length ? this.events.end : undefined;
    this.#add(events);
  }

  #add(events) {
    for (const event of events) {
      const before = this.#previous[event.side];
      event.gap = before === null ? null : event.at - before;
      event.index = this.events.end;
      this.events.push(event);
      event.adds.forEach((each) => this.joined.add(each));
      this.#previous[event.side] = event.at;
    }
  }

  /** How much passed before the page was open, as text; "" if nothing did. */
  get #before() {
    const { pieces, bytes } = this.#unseen;
    if (pieces === 0 || bytes === 0 || bytes === Infinity) return "";
    return pieces === Infinity ? sized(bytes) : counted(pieces, "{0} piece", "{0} pieces");
  }

  /** Is it one that may be silent for as long as it likes? */
  get isTunnel() {
    return this.#exchange?.kind === "websocket";
  }

  /** Is nothing missing before the first piece? */
  get beginsWhole() {
    return this.#before === "" && this.pieces.first + this.dropped.pieces === 0;
  }

  /** Seconds of silence before a piece or an event; null: not known. */
  gapOf({ gap, at, arrived }) {
    if (gap !== null) return gap;
    return this.beginsWhole ? (at ?? arrived) : null;
  }

  /** How many pieces are missing, at least. */
  get holes() {
    const { pieces } = this.#unseen;
    const before = this.#before === "" ? 0 : pieces === Infinity ? 1 : Math.max(1, pieces);
    return before + this.dropped.pieces + this.pieces.first;
  }

  /** What is missing, as text; "" if nothing is. */
  missing() {
    const parts = [];
    const { pieces, events, dropped } = this;
    if (this.#note) parts.push(this.#note);
    if (pieces.end && !this.#hasBodies) {
      parts.push(phrase("Bodies are not shown: [inspector] bodies is off, or this browser is not on the same machine as the proxy."));
    }
    if (this.#exchange?.record === "off") parts.push(phrase("Nothing is recorded: [inspector] record is off."));
    else if (this.#before) parts.push(phrase("{0} passed before recording started.", this.#before));
    if (dropped.pieces) {
      parts.push(counted(dropped.pieces, "The proxy has dropped {0} piece.", "The proxy has dropped {0} pieces."));
    }
    if (pieces.first) {
      parts.push(counted(pieces.first, "This page has dropped the oldest {0} piece.", "This page has dropped the oldest {0} pieces."));
    }
    if (events.first) {
      const { one, many } = NOUNS[this.noun];
      parts.push(phrase("This page has dropped the oldest {0}.", counted(events.first, one, many)));
    }
    return parts.join(" ");
  }
}
