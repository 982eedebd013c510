// The entries of a HAR as records. What browsers add to HAR 1.2 is told in
// docs/records.md; an entry of our own has its record in it. Pure.

import { base64, unbase64 } from "../decode/bytes_text.js";
import { phrase } from "../web/language.js";
import { assembled, faultAt, isObject, need } from "./record_file.js";

const SCHEMES = { "http:": "http", "https:": "https", "ws:": "http", "wss:": "https" };
const LINE_END = /\r\n|\r|\n/g;
const NO_BODY = [204, 205, 304];
const HEAD_LONGEST = 14; // bytes of a frame's head

/** {number, label, read()} of each entry by HTTP. */
export function harEntries(har, name) {
  const entries = har?.log?.entries;
  if (!Array.isArray(entries)) throw faultAt(name, "log.entries is not an array: it is not a HAR");
  const creator = [har.log.browser ?? har.log.creator].map((each) => `${each?.name ?? ""} ${each?.version ?? ""}`.trim())[0];
  return entries.flatMap((entry, at) => {
    const number = at + 1;
    const url = entry?.request?.url;
    if (typeof url === "string" && addressOf(url) === null) return []; // data:, blob: …
    const label = `${entry?.request?.method ?? "?"} ${url ?? "?"}`;
    return [{ number, label, status: entry?.response?.status ?? 0, read: () => readEntry(withoutNulls(entry), `${name}, entry ${number}`, creator) }];
  });
}

function addressOf(url) {
  try {
    const address = new URL(url);
    return address.protocol in SCHEMES ? address : null;
  } catch {
    return null;
  }
}

/** The same, as if what is null were not there. */
function withoutNulls(value) {
  if (Array.isArray(value)) return value.filter((each) => each !== null).map(withoutNulls);
  if (!isObject(value)) return value;
  const known = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(known.map(([key, each]) => [key, withoutNulls(each)]));
}

/** One entry: {exchange, pieces}. */
function readEntry(entry, where, creator) {
  need(isObject(entry), where, "is not an object");
  if (entry._unbuffered) {
    const lines = entry._unbuffered.record;
    need(Array.isArray(lines), where, "_unbuffered.record: is not an array");
    return assembled(lines.map((line, at) => [`${where}, _unbuffered, line ${at + 1}`, line]), where);
  }
  return assembled(linesOf({ response: {}, ...entry }, where, creator).map((line) => [where, line]), where);
}

/** The lines of a record that an entry makes. */
function linesOf(entry, where, creator) {
  const { request, response, timings = {} } = entry;
  need(isObject(request) && typeof request.url === "string", where, "request.url: is not text");
  need(isObject(response), where, "response: is not an object");
  const began = beginning(entry, where);
  const wait = phase(timings.send) + phase(timings.wait);
  const times = { began, head: wait, end: wait + phase(timings.receive), sent: phase(timings.send) };
  const unknown = new Set();
  const body = requestBody(request, where, unknown);
  const rest = responseLines(entry, times, unknown, where);
  return [firstLine(entry, began, [...unknown], creator, where), ...body, ...rest];
}

// Chromium has the times of messages in seconds, Playwright in milliseconds.
function milliseconds(time) {
  return time > 1e11 ? time : time * 1000;
}

function firstLine({ request }, began, unknown, creator, where) {
  const address = addressOf(request.url);
  const fields = pairs(request.headers, where, "request.headers");
  if (!fields.some(([name]) => name.toLowerCase() === "host")) fields.unshift(["Host", address.host]);
  return {
    unbuffered: 1,
    began: new Date(began).toISOString(),
    by: phrase("a HAR by {0}", creator || phrase("an unknown program")),
    route: "",
    target: `${SCHEMES[address.protocol]}://${address.host}`,
    unknown,
    request: { method: request.method, target: address.pathname + address.search, scheme: SCHEMES[address.protocol], fields },
  };
}

/** When the request was sent, in milliseconds: behind queue, connection and TLS. */
function beginning({ startedDateTime, time, timings = {} }, where) {
  const started = Date.parse(startedDateTime);
  need(!Number.isNaN(started), where, "startedDateTime: is not a time");
  const after = phase(timings.send) + phase(timings.wait) + phase(timings.receive);
  const before = phase(timings.blocked) + phase(timings.dns) + phase(timings.connect);
  return started + Math.max(0, time > 0 ? time - after : before);
}

function phase(value) {
  return typeof value === "number" && value > 0 ? value : 0;
}

function micro(milliseconds) {
  return Math.max(0, Math.round(milliseconds * 1000));
}

function pairs(headers, where, key) {
  need(Array.isArray(headers ?? []), where, `${key}: is not an array`);
  return (headers ?? []).flatMap(({ name, value }) => {
    need(typeof name === "string", where, `${key}: a name is not text`);
    if (name.startsWith(":")) return [];
    return String(value ?? "").split("\n").map((line) => [name, line.trim()]);
  });
}

function requestBody(request, where, unknown) {
  const { text, params, encoding } = request.postData ?? {};
  let body = "";
  if (text) body = text;
  else if (params?.length) body = String(new URLSearchParams(params.map(({ name, value }) => [name, value ?? ""])));
  if (body === "" && request.bodySize > 0) unknown.add("request body");
  if (body === "") return [];
  return [piece("client", 0, encoding === "base64" ? bytesOf(body, where, "request.postData.text") : new TextEncoder().encode(body))];
}

function bytesOf(text, where, key) {
  try {
    return unbase64(text);
  } catch {
    throw faultAt(where, `${key}: is not valid base64`);
  }
}

function piece(from, at, bytes) {
  return { at, from, base64: base64(bytes) };
}

// -- the response

function responseLines(entry, times, unknown, where) {
  const { response, request } = entry;
  const error = response._error ?? "";
  const messages = entry._webSocketMessages;
  const isSocket = Array.isArray(messages) || response.status === 101;
  if (!(response.status >= 100) && !messages?.length) return error ? [ended(times.end, error)] : [];
  if (isSocket) return socketLines(entry, times, unknown, where);
  need(response.status >= 200 && response.status < 1000, where, "response.status: is not a final status");
  const fields = pairs(response.headers, where, "response.headers");
  const found = bodyPieces(entry, times, unknown, where);
  const coded = fields.some(([name, value]) => name.toLowerCase() === "content-encoding" && value !== "identity");
  const shown = coded && found?.length ? fields.filter(([name]) => !/^content-(encoding|length)$/i.test(name)) : fields;
  if (shown !== fields) unknown.add("coding");
  const head = { at: micro(times.head), from: "upstream", head: { status: response.status, fields: shown } };
  const bodiless = request.method === "HEAD" || NO_BODY.includes(response.status);
  const lines = [head, ...inOrder(bodiless ? [] : (found ?? []), micro(times.head))];
  const last = Math.max(micro(times.end), lines.at(-1).at);
  if (error) return [...lines, ended(last / 1000, error)];
  if (found === null) {
    unknown.add("body");
    return lines;
  }
  const late = last > micro(times.end);
  return [...lines, { at: last, from: "upstream", end: late ? "open" : "complete", ending: late ? "client left" : "complete" }];
}

function ended(at, error) {
  const left = error.includes("ERR_ABORTED");
  return { at: micro(at), from: "upstream", end: left ? "open" : "fin", ending: left ? "client left" : "upstream broke", error: left ? "" : error };
}

/** Times never go back, and a body has its head before it. */
function inOrder(lines, least) {
  let latest = least;
  return lines.map((line) => {
    latest = Math.max(latest, line.at);
    return { ...line, at: latest };
  });
}

/** The body, in pieces; null: it is missing. */
function bodyPieces(entry, times, unknown, where) {
  const { content = {} } = entry.response;
  const messages = Array.isArray(entry._eventSourceMessages) ? entry._eventSourceMessages : [];
  const at = (seconds) => micro(milliseconds(seconds) - times.began);
  if (content.text) {
    const encoded = content.encoding === "base64";
    const whole = encoded ? bytesOf(content.text, where, "response.content.text") : null;
    if (!encoded && /\ufffd|\p{Surrogate}/u.test(content.text)) unknown.add("bytes");
    if (messages.length && !encoded && isEventStream(entry.response.headers ?? [])) {
      unknown.add("splits");
      return cutByEvents(content.text, messages, unknown).map(([time, text]) =>
        piece("upstream", time === null ? micro(times.end) : at(time), new TextEncoder().encode(text)),
      );
    }
    unknown.add("times");
    return [piece("upstream", micro(times.end), whole ?? new TextEncoder().encode(content.text))];
  }
  if (messages.length) {
    unknown.add("splits").add("bytes");
    return messages.map((message, number) => {
      const text = eventText(message, messages[number - 1]?.eventId ?? "");
      return piece("upstream", at(message.time), new TextEncoder().encode(text));
    });
  }
  const missing = content.text === undefined && content.size !== 0;
  return missing || content.size > 0 ? null : [];
}

function isEventStream(headers) {
  const found = headers.find(({ name }) => name?.toLowerCase() === "content-type");
  return String(found?.value ?? "").toLowerCase().startsWith("text/event-stream");
}

/** [time, text] of each event that a message tells the time of, and of what is left. */
function cutByEvents(text, messages, unknown) {
  const found = [];
  let start = 0;
  for (const { end, data } of eventsIn(text)) {
    const message = messages[found.length];
    if (!message || (message.data !== undefined && message.data !== data)) {
      unknown.add("times");
      break;
    }
    found.push([message.time, text.slice(start, end)]);
    start = end;
  }
  if (start < text.length) found.push([null, text.slice(start)]);
  return found;
}

/** Where each event ends, and its data (WHATWG HTML §9.2.6). */
function* eventsIn(text) {
  let line = 0;
  let data = [];
  for (const { 0: mark, index } of text.matchAll(LINE_END)) {
    const content = text.slice(line, index).replace(/^\ufeff/, "");
    line = index + mark.length;
    const [, value] = /^data(?:: ?(.*))?$/s.exec(content) ?? [];
    if (/^data(:|$)/.test(content)) data.push(value ?? "");
    if (content !== "" || !data.length) continue;
    yield { end: line, data: data.join("\n") };
    data = [];
  }
}

function eventText({ eventName, eventId, data }, known) {
  const lines = [];
  if (eventName && eventName !== "message") lines.push(`event: ${eventName}`);
  if (eventId && eventId !== known) lines.push(`id: ${eventId}`);
  lines.push(...(data ?? "").split("\n").map((each) => `data: ${each}`), "", "");
  return lines.join("\n");
}

// -- a WebSocket

function socketLines(entry, times, unknown, where) {
  const { response } = entry;
  const fields = pairs(response.headers, where, "response.headers").filter(([name]) => !/^sec-websocket-extensions$/i.test(name));
  const messages = entry._webSocketMessages;
  unknown.add("frames");
  const first = messages?.length ? micro(milliseconds(messages[0].time) - times.began) : Infinity;
  const head = { at: Math.min(micro(times.head), first), from: "upstream", head: { status: 101, fields } };
  if (!Array.isArray(messages)) {
    unknown.add("body");
    return [head];
  }
  let error = response._error ?? "";
  const lines = messages.flatMap((message, number) => {
    const key = `_webSocketMessages[${number}]`;
    need(isObject(message) && typeof message.data === "string", where, `${key}.data: is not text`);
    if (message.type === "error") {
      error = message.data;
      return [];
    }
    need(message.type === "send" || message.type === "receive", where, `${key}.type: is not send or receive`);
    const payload = message.opcode === 1 ? new TextEncoder().encode(message.data) : bytesOf(message.data, where, `${key}.data`);
    const sent = message.type === "send";
    return [piece(sent ? "client" : "upstream", micro(milliseconds(message.time) - times.began), frameOf(message.opcode, payload, sent))];
  });
  const all = [head, ...inOrder(lines, head.at)];
  const last = Math.max(micro(times.end), all.at(-1).at);
  return [...all, error ? ended(last / 1000, error) : { at: last, from: "upstream", end: "open", ending: "client left" }];
}

/** A message in one frame; what a client sends is masked, by zeros here. */
function frameOf(opcode, payload, masked) {
  const head = new Uint8Array(HEAD_LONGEST);
  const view = new DataView(head.buffer);
  const { length } = payload;
  const bit = masked ? 0x80 : 0;
  let size = 2;
  head[0] = 0x80 | (opcode & 0x0f);
  if (length < 126) head[1] = bit | length;
  else if (length < 0x10000) {
    head[1] = bit | 126;
    view.setUint16(2, length);
    size = 4;
  } else {
    head[1] = bit | 127;
    view.setBigUint64(2, BigInt(length));
    size = 10;
  }
  if (masked) size += 4;
  const frame = new Uint8Array(size + length);
  frame.set(head.subarray(0, size));
  frame.set(payload, size);
  return frame;
}
