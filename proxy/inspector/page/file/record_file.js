// A record as the view of a stream shows one: its lines in, an exchange and its pieces
// out. The format is that of docs/records.md. Pure.

import { unbase64 } from "../decode/bytes_text.js";
import { phrase } from "../web/language.js";

const VERSION = 1;
const NDJSON = ["ndjson", "jsonl", "jsonlines", "stream+json", "json-seq"];
const MICRO = 1e6; // of a second

/** A file that cannot be shown; the message says why, and where. */
export class FileFault extends Error {}

/** The exchange and the pieces of a record. */
export function readRecord(text, name) {
  const lines = text.split("\n");
  const whole = lines.at(-1) === "";
  const tables = [];
  lines.forEach((line, at) => {
    if (line.trim() === "") return;
    const where = `${name}, line ${at + 1}`;
    try {
      tables.push([where, JSON.parse(line)]);
    } catch (error) {
      if (!whole && at === lines.length - 1 && tables.length) return; // cut off there
      throw faultAt(where, "is not valid JSON: {0}", error.message);
    }
  });
  return assembled(tables, name);
}

/** The same, of lines that are objects already: [where it is, the object]. */
export function assembled(tables, name) {
  if (!tables.length) throw new FileFault(phrase("{0} is empty: it is not a record", name));
  const [[where, first], ...others] = tables;
  checkFirst(first, where);
  const found = { head: null, end: null, dropped: 0, pieces: [], latest: 0 };
  for (const [place, line] of others) take(found, line, place);
  return { exchange: exchangeOf(first, found, name), pieces: found.pieces };
}

function checkFirst(first, where) {
  need(isObject(first), where, "is not a JSON object");
  need(first.unbuffered !== undefined, where, 'has no "unbuffered": the file is not a record of unbuffered');
  const version = "the record has version {0} of the format; this page reads version {1}";
  need(first.unbuffered === VERSION, where, version, first.unbuffered, VERSION);
  need(isObject(first.request), where, "request: is missing");
  for (const key of ["method", "target"]) {
    need(typeof first.request[key] === "string", where, `request.${key}: is not text`);
  }
  need(!Number.isNaN(Date.parse(first.began)), where, "began: is not a time");
  checkFields(first.request.fields, where, "request.fields");
  if (first.sent) checkFields(first.sent.fields, where, "sent.fields");
}

function take(found, line, where) {
  need(isObject(line), where, "is not a JSON object");
  if (line.dropped !== undefined) {
    found.dropped = Number(line.dropped) || 0;
    return;
  }
  need(Number.isSafeInteger(line.at) && line.at >= 0, where, "at: is not a whole number of microseconds");
  found.latest = Math.max(found.latest, line.at);
  if (line.head !== undefined) takeHead(found, line, where);
  else if (line.end !== undefined) found.end = line;
  else if (line.complete === undefined) takePiece(found, line, where);
}

function takeHead(found, { at, head }, where) {
  need(isObject(head) && Number.isInteger(head.status), where, "head.status: is not a number");
  checkFields(head.fields, where, "head.fields");
  if (head.status >= 200 || head.status === 101) found.head = { ...head, at };
}

function takePiece(found, { at, from, text, base64 }, where) {
  need(from === "client" || from === "upstream", where, "from: is not client or upstream");
  need(typeof (text ?? base64) === "string", where, "has none of text, base64, head, complete, end, dropped");
  const side = from === "client" ? "request" : "response";
  found.pieces.push(pieceOf(side, at / MICRO, text === undefined ? decoded(base64, where) : new TextEncoder().encode(text)));
}

function decoded(text, where) {
  try {
    return unbase64(text);
  } catch {
    throw faultAt(where, "base64: is not valid base64");
  }
}

/** A piece as the feed of an exchange has it, but with its bytes. */
export function pieceOf(side, arrived, payload) {
  return { side, arrived, sent: arrived, bytes: payload.length, payload };
}

function checkFields(fields, where, key) {
  const pairs = Array.isArray(fields) && fields.every((each) => Array.isArray(each) && each.length === 2);
  need(pairs && fields.flat().every((each) => typeof each === "string"), where, `${key}: is not an array of pairs`);
}

/** What is wrong at a place; `text` may begin with the key that it is about. */
export function faultAt(where, text, ...values) {
  const [, key, fact] = /^(?:(\S+): )?(.*)$/.exec(text);
  return new FileFault([where, key, phrase(fact, ...values)].filter(Boolean).join(phrase(": ")));
}

export function need(holds, where, text, ...values) {
  if (!holds) throw faultAt(where, text, ...values);
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// -- as the view has it

function exchangeOf(first, { head, end, dropped, pieces, latest }, name) {
  const { request, sent } = first;
  const duration = Math.max(latest, end?.at ?? 0) / MICRO;
  const response = pieces.filter(({ side }) => side === "response");
  const up = pieces.filter(({ side }) => side === "request");
  return {
    id: name,
    client: null,
    route: first.route || null,
    upstream: first.target || null,
    method: request.method,
    target: request.target,
    status: head?.status ?? 0,
    phase: "over",
    kind: head ? kindOf(head) : "other",
    started: Date.parse(first.began) / 1000,
    age: duration,
    duration,
    first_byte: response[0]?.arrived ?? head?.at / MICRO,
    pieces: response.length,
    bytes: sum(response),
    bytes_received: sum(up),
    longest_gap: longestGap(response),
    longest_hold: 0,
    holding: null,
    whole: true,
    ending: endingOf(end, dropped),
    error: end?.error || null,
    request: { received: request.fields, sent: sent?.fields ?? null },
    response: { received: head?.fields ?? [], sent: null },
    file: {
      by: String(first.by ?? ""),
      scheme: request.scheme ?? "http",
      unknown: Array.isArray(first.unknown) ? first.unknown.map(String) : [],
      dropped,
    },
  };
}

function endingOf(end, dropped) {
  if (end) return end.ending ?? end.end;
  return dropped ? "the record is not whole" : "the record was cut off";
}

function kindOf({ status, fields }) {
  if (status === 101) return "websocket";
  const found = fields.find(([name]) => name.toLowerCase() === "content-type");
  const type = (found?.[1] ?? "").split(";")[0].trim().toLowerCase();
  if (type === "text/event-stream") return "event-stream";
  const [main, sub = ""] = type.split("/");
  if (main !== "application") return "other";
  if (NDJSON.includes(sub.replace(/^x-/, ""))) return "ndjson";
  return sub === "json" || sub.endsWith("+json") ? "json" : "other";
}

function sum(pieces) {
  return pieces.reduce((size, { bytes }) => size + bytes, 0);
}

function longestGap(pieces) {
  let longest = 0;
  for (let at = 1; at < pieces.length; at += 1) {
    longest = Math.max(longest, pieces[at].arrived - pieces[at - 1].arrived);
  }
  return longest;
}
