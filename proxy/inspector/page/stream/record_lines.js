// A stream as a record: the lines of docs/records.md. Pure: what is shown in, text out.
//
// The page knows less than the proxy: pieces were decoded, some may be missing, and when
// the head came is not known. So a record says how it differs from what the upstream sent.

import { base64 } from "../decode/bytes_text.js";

const VERSION = 1;
const BODILESS = new Set([204, 304]);
const OF_CODED = new Set(["content-encoding", "content-length"]);

/** The lines. `holes`: how many pieces are missing, at least. */
export function recordLines(exchange, pieces, { holes = 0, scheme = "http" } = {}) {
  const known = [...pieces].filter(({ side, own, bytes }) => side !== "heartbeat" && !own && bytes);
  const whole = known.filter((each) => isWhole(each) && hasPlace(each, exchange));
  const lost = holes + known.length - whole.length;
  const items = [...responseHead(exchange, whole), ...whole.map(piece), ...requestEnd(exchange, whole)];
  const lines = [first(exchange, unknown(exchange, lost), scheme), ...inOrder(items)];
  if (lost) lines.push({ dropped: lost });
  else if (exchange.ending) lines.push(end(exchange, lines));
  return lines.map((line) => JSON.stringify(line) + "\n");
}

function isWhole({ payload, bytes }) {
  return payload?.length === bytes;
}

/** A body has a head before it. */
function hasPlace({ side }, { response }) {
  return side === "request" || Boolean(response?.received && response.status);
}

function first(exchange, found, scheme) {
  const { request = {} } = exchange;
  const version = request.version ?? "1.1";
  const line = {
    unbuffered: VERSION,
    began: timeOfDay(exchange.started),
    by: "unbuffered inspector",
    route: exchange.route ?? "",
    target: exchange.upstream ?? "",
    unknown: found,
    request: message(exchange.method, exchange.target, version, scheme, request.received ?? []),
  };
  if (request.sent) {
    const [method, target] = request.line.split(" ");
    line.sent = message(method, target, "1.1", upstreamScheme(exchange), request.sent);
  }
  return line;
}

function message(method, target, version, scheme, fields) {
  return { method, target, version, scheme, fields };
}

function upstreamScheme({ upstream }) {
  return /^(https|wss):/.test(upstream ?? "") ? "https" : "http";
}

/** Microseconds are those of the row, which has milliseconds. */
function timeOfDay(seconds) {
  return new Date(seconds * 1000).toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}

/** What a record of the proxy would know; the words are those of docs/records.md. */
function unknown({ coded = [], stream }, lost) {
  const found = ["head time"];
  if (coded.length) found.push("coding");
  if (lost) found.push("pieces");
  if (stream?.kept) found.push("ids");
  return found;
}

function micro(seconds) {
  return Math.max(0, Math.round(seconds * 1e6));
}

function responseHead(exchange, pieces) {
  const { response = {}, coded = [] } = exchange;
  if (!response.received || !response.status) return [];
  const arrived = pieces.find(({ side }) => side === "response")?.arrived ?? Infinity;
  const at = Math.min(arrived, exchange.first_byte ?? exchange.age ?? Infinity);
  const fields = coded.length
    ? response.received.filter(([name]) => !OF_CODED.has(name.toLowerCase()))
    : response.received;
  const { status, reason = "", version = "1.1" } = response;
  const head = { status, reason, version, fields, framing: framing(exchange, fields) };
  return [{ at: micro(at === Infinity ? 0 : at), from: "upstream", head }];
}

function framing({ method, coded = [], response }, fields) {
  if (response.status === 101) return "tunnel";
  if (method === "HEAD" || BODILESS.has(response.status)) return "none";
  const names = new Set(fields.map(([name]) => name.toLowerCase()));
  if (names.has("transfer-encoding")) return "chunked";
  if (names.has("content-length")) return "length";
  return coded.length ? "chunked" : "close"; // its length was that of the coded body
}

function piece({ side, arrived, payload }) {
  const line = { at: micro(arrived), from: side === "request" ? "client" : "upstream" };
  const text = asUtf8(payload);
  return text === null ? { ...line, base64: base64(payload) } : { ...line, text };
}

function asUtf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** That the request was complete is known if as much has come as it said, or all went well. */
function requestEnd(exchange, pieces) {
  const { request = {}, response = {}, ending } = exchange;
  const sent = pieces.filter(({ side }) => side === "request");
  if (!sent.length || response.status === 101) return [];
  const length = (request.received ?? []).find(([name]) => name.toLowerCase() === "content-length");
  const size = sent.reduce((sum, { bytes }) => sum + bytes, 0);
  if (length ? size !== Number(length[1]) : ending !== "complete") return [];
  return [{ at: micro(sent.at(-1).arrived), from: "client", complete: true }];
}

/** By their times. The head came before its body, the end of a request behind it. */
function inOrder(items) {
  const rank = (item) => ("head" in item ? 0 : "complete" in item ? 2 : 1);
  return items.sort((one, other) => one.at - other.at || rank(one) - rank(other));
}

function end(exchange, lines) {
  const last = lines.findLast(({ from }) => from === "upstream")?.at ?? 0;
  const at = Math.max(last, micro(exchange.duration ?? 0));
  const error = exchange.error ?? "";
  return { at, from: "upstream", end: upstreamEnd(exchange, error), trailers: [], ending: exchange.ending, error };
}

function upstreamEnd({ ending, response = {} }, error) {
  if (ending === "complete") return "complete";
  if (ending !== "upstream broke") return "open";
  if (/^the upstream reset the connection/.test(error)) return "reset";
  if (/^the upstream closed/.test(error)) return "fin";
  if (/^malformed response/.test(error)) return "malformed";
  return response.received ? "open" : "unreached";
}

/** A name for the file: when, and what was asked. */
export function recordName({ started, method, target }) {
  const when = timeOfDay(started).replace(/[-:Z]/g, "");
  const path = target.split("?")[0].replace(/[^A-Za-z0-9_]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
  return [when, method, path].filter(Boolean).join("-") + ".jsonl";
}
