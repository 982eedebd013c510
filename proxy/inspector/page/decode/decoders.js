// Decoders: from the pieces of an exchange to its events, of any kind.
//
// Each event: {side, at, sent, piece, type, id, data, size, note, adds}, with
// `bytes` where it is not text. A decoder's `push` gives a list or a promise of one.

import { EventStreamReader } from "../web/event_stream.js";
import { NdjsonReader } from "../web/ndjson.js";
import { phrase } from "../web/language.js";
import { asText, utf8Length } from "./bytes_text.js";
import { deltas } from "./deltas.js";
import { Inflater } from "./inflater.js";
import { closeOf, FrameReader, isDeflated, isWebSocket } from "./websocket_frames.js";

const READERS = {
  "event-stream": { noun: "event", make: () => new TextEvents(new EventStreamReader(), sseEvent) },
  ndjson: { noun: "object", make: () => new TextEvents(new NdjsonReader(), ndjsonEvent) },
};

/**
 * {noun, response, request, heartbeat}: decoders of both sides, and of what the proxy
 * adds; null: bytes stay bytes.
 *
 * `joined`: the first piece may start anywhere.
 */
export function decodersFor(exchange, joined = false) {
  const fields = exchange.response?.sent ?? exchange.response?.received ?? [];
  if (exchange.kind === "websocket") {
    if (!isWebSocket(fields)) return { noun: null, response: null, request: null };
    const coded = isDeflated(fields);
    return {
      noun: "frame",
      response: new Frames({ masked: false, coded }, joined),
      request: new Frames({ masked: true, coded }, joined),
    };
  }
  const reader = READERS[exchange.kind];
  if (!reader || codingOf(fields)) return { noun: null, response: null, request: null };
  return { noun: reader.noun, response: reader.make(), request: null, heartbeat: new Heartbeats() };
}

/** The content coding of the body sent to the client, or "". */
export function codingOf(fields) {
  const found = fields.find(([name]) => name.toLowerCase() === "content-encoding");
  return found && found[1].toLowerCase() !== "identity" ? found[1] : "";
}

class TextEvents {
  #decoder = new TextDecoder();

  constructor(reader, describe) {
    this.reader = reader;
    this.describe = describe;
  }

  push(piece) {
    if (!piece.payload) return [missing(piece)];
    const text = this.#decoder.decode(piece.payload, { stream: true });
    return this.reader.push(text).map((read) => ({ ...origin(piece), ...this.describe(read) }));
  }

  /** The events of an unfinished rest; `last` is the last piece. */
  finish(last) {
    if (this.reader.finish) {
      return this.reader.finish().map((read) => ({ ...origin(last), ...this.describe(read) }));
    }
    const data = this.reader.unfinished();
    if (data === "") return [];
    const note = phrase("no empty line at the end: browsers drop this event");
    return [{ ...origin(last), type: "unfinished", isNamedHere: true, id: "", data, size: utf8Length(data), note, adds: [] }];
  }
}

/** Comments that the proxy itself puts between two events. */
class Heartbeats {
  push(piece) {
    const note = phrase("a comment of the proxy (heartbeat_seconds)");
    return [{ ...origin(piece), type: "heartbeat", isNamedHere: true, id: "", data: "", size: piece.bytes, note, adds: [] }];
  }
}

function origin(piece) {
  return { side: piece.side, own: piece.own, at: piece.arrived, sent: piece.sent, piece: piece.index };
}

function missing(piece) {
  return {
    ...origin(piece),
    type: "not recorded",
    isNamedHere: true,
    id: "",
    data: "",
    size: piece.bytes,
    note: phrase("{0} bytes were not recorded; the next event may be incomplete", piece.bytes),
    adds: [],
  };
}

function sseEvent(read) {
  if (read.comment !== undefined) {
    const { comment } = read;
    return { type: "comment", isNamedHere: true, id: "", data: comment, size: utf8Length(comment), note: null, adds: [] };
  }
  const notes = [];
  if (!read.dispatched) notes.push(phrase("no data field: browsers do not dispatch it"));
  if (read.cut) notes.push(phrase("longer than 1 MiB: truncated here"));
  return {
    type: read.type,
    id: read.id,
    data: read.data,
    size: utf8Length(read.data),
    retry: read.retry,
    note: notes.join("; ") || null,
    adds: added(read.data),
  };
}

function ndjsonEvent({ data, fault }) {
  const note = fault && (fault === "cut" ? phrase("longer than 1 MiB: truncated here") : phrase("not valid JSON: {0}", fault));
  const own = fault ? null : typeOf(data);
  const type = own ?? (fault ? "line" : "object");
  return { type, isNamedHere: own === null, id: "", data, size: utf8Length(data), note, adds: fault ? [] : added(data) };
}

function typeOf(data) {
  const type = parsed(data)?.type;
  return typeof type === "string" && type.length < 40 ? type : null;
}

function parsed(data) {
  if (data[0] !== "{") return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

function added(data) {
  const value = parsed(data);
  return value ? deltas(value) : [];
}

/** WebSocket frames of one direction; payloads inflated if that was negotiated. */
class Frames {
  #reader = null;
  #message = null; // the fragments of a data message: {type, coded, parts}

  constructor(rules, joined) {
    this.rules = rules;
    this.inflater = rules.coded ? new Inflater() : null;
    if (!joined) this.#reader = new FrameReader(rules);
  }

  async push(piece) {
    if (!piece.payload) {
      this.#reader = null;
      return [missing(piece)];
    }
    const frames = this.#reader ? this.#reader.push(piece.payload) : this.#join(piece.payload);
    const events = [];
    for (const frame of frames) events.push({ ...origin(piece), ...(await this.#event(frame)) });
    if (this.#reader === null || this.#reader.fault) events.push(this.#unread(piece));
    return events;
  }

  // After missing bytes, nothing marks where the next frame starts. Take the next
  // piece that consists of whole frames, since most frames are sent separately.
  #join(payload) {
    const reader = new FrameReader(this.rules);
    const frames = reader.push(payload);
    if (!reader.isBetween) return [];
    this.#reader = reader;
    return frames;
  }

  #unread(piece) {
    const why = this.#reader?.fault ?? phrase("the recording starts inside a frame");
    this.#reader = null;
    const note = phrase("these bytes were not decoded as frames: {0}", why);
    return { ...origin(piece), type: "unread", isNamedHere: true, id: "", data: "", bytes: piece.payload, size: piece.bytes, note, adds: [] };
  }

  finish() {
    return [];
  }

  async #event(frame) {
    const base = { type: frame.type, isNamedHere: true, id: "", size: frame.bytes, adds: [], note: null };
    if (frame.type === "close") {
      const { code, reason } = closeOf(frame.payload);
      return { ...base, data: code === null ? "" : `${code} ${reason}`.trim() };
    }
    if (frame.type === "ping" || frame.type === "pong") return content(base, frame.payload, false);
    return this.#dataFrame(frame, base);
  }

  async #dataFrame(frame, base) {
    if (frame.type !== "continuation") {
      this.#message = { type: frame.type, coded: frame.coded, parts: [], cut: false };
    }
    const message = this.#message ?? { type: "binary", coded: false, parts: [], cut: false };
    const note = fragmentNote(frame);
    message.cut ||= frame.cut;
    if (!message.coded) {
      return { ...content(base, frame.payload, message.type === "text"), note };
    }
    message.parts.push(frame.payload);
    if (!frame.final) return { ...base, data: "", note: [note, phrase("compressed")].join(phrase(", ")) };
    const inflated = message.cut ? null : await this.#inflate(message.parts);
    if (!inflated) {
      const failed = phrase("compressed (permessage-deflate); could not be inflated");
      return { ...base, data: "", bytes: frame.payload, note: failed };
    }
    const sizes = phrase("permessage-deflate: {0} bytes on the wire, {1} inflated", frame.bytes, inflated.length);
    return { ...content(base, inflated, message.type === "text"), note: sizes };
  }

  async #inflate(parts) {
    if (!this.inflater) return null;
    return this.inflater.inflate(new Uint8Array(await new Blob(parts).arrayBuffer()));
  }
}

function fragmentNote(frame) {
  if (frame.cut) return phrase("longer than 1 MiB: truncated here");
  if (frame.final && frame.type !== "continuation") return null;
  return phrase(frame.final ? "last fragment" : "fragment");
}

function content(base, payload, isText) {
  const text = isText ? new TextDecoder().decode(payload) : asText(payload);
  if (text === null) return { ...base, data: "", bytes: payload };
  return { ...base, data: text, adds: added(text) };
}
