// A recorded request as a curl command. Pure: request in, text out.

import { phrase } from "../web/language.js";

// curl sends these itself, or they belong to the connection.
const LEFT_OUT = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "expect",
  "accept-encoding",
]);
const FOR_UPGRADE = new Set(["connection"]);
const MASKED = /(?:^|[ =./-])\*{4}(?=$|[;,&#>"@\s])/; // how the proxy masks credentials

/**
 * {command, masked, note}: `masked` names the fields whose values are masked;
 * `note` says what else is missing, or is null.
 */
export function curl({ method, target, fields, origin, body, bodyComplete = true }) {
  const upgrade = fields.some(([name]) => name.toLowerCase() === "upgrade");
  const words = ["curl -N"];
  if (upgrade) words.push("--http1.1");
  if (needsMethod(method, body)) words.push(method === "HEAD" ? "-I" : `-X ${quote(method)}`);
  if (/["\[\]{}]/.test(target)) words.push("-g");
  words.push(quote(`${origin}${target}`));
  const masked = isMasked(target) ? [phrase("the query")] : [];
  for (const [name, value] of fields) {
    if (isLeftOut(name.toLowerCase(), upgrade)) continue;
    if (isMasked(value)) masked.push(name);
    words.push(value === "" ? `-H ${quote(`${name};`)}` : `-H ${quote(`${name}: ${value}`)}`);
  }
  if (compresses(fields)) words.push("--compressed");
  const note = data(words, body, bodyComplete);
  return { command: words.join(" \\\n  "), masked, note };
}

export function isMasked(value) {
  return MASKED.test(value);
}

function needsMethod(method, body) {
  return method !== (body?.length ? "POST" : "GET");
}

function isLeftOut(name, upgrade) {
  return LEFT_OUT.has(name) && !(upgrade && FOR_UPGRADE.has(name));
}

function compresses(fields) {
  return fields.some(
    ([name, value]) =>
      name.toLowerCase() === "accept-encoding" && /gzip|br|deflate|zstd/i.test(value),
  );
}

function data(words, body, complete) {
  if (!complete) return phrase("the request body was not recorded completely, so it is omitted");
  if (!body?.length) return null;
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    text = "\0";
  }
  if (text.includes("\0")) {
    words.push("--data-binary @request.bin");
    return phrase("the request body is binary: save it as request.bin");
  }
  words.push(`--data-raw ${quote(text)}`);
  return null;
}

/** Quote any text as one word for a POSIX shell. */
export function quote(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
