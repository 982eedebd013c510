// Bytes for a reader: as text where they are text, otherwise in hexadecimal.

const CONTROLS = /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/;
const PER_ROW = 16; // bytes of a dump

/** Base64 as bytes. */
export function unbase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) {
    bytes[index] = binary.charCodeAt(index);
  }
  return bytes;
}

const encoder = new TextEncoder();

/** How many bytes a text is in UTF-8. */
export function utf8Length(text) {
  return /[^\x00-\x7f]/.test(text) ? encoder.encode(text).length : text.length;
}

/** Base64 of bytes. */
export function base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}

/** The parts as one array. */
export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Text, if that is what the bytes are; a character cut at an end is forgiven. */
export function asText(bytes) {
  let start = 0;
  while (start < 3 && (bytes[start] & 0xc0) === 0x80) start += 1;
  const text = new TextDecoder("utf-8").decode(bytes.subarray(start), { stream: true });
  return text.includes("\uFFFD") || CONTROLS.test(text) ? null : text;
}

/** One line of hexadecimal. */
export function hexLine(bytes, limit = 48) {
  const shown = Array.from(bytes.subarray(0, limit), hex).join(" ");
  return bytes.length > limit ? `${shown} …` : shown;
}

/** The rows of a dump: offset, sixteen bytes, their characters. */
export function hexDump(bytes, limit = 4096) {
  const rows = [];
  for (let at = 0; at < Math.min(bytes.length, limit); at += PER_ROW) {
    const part = bytes.subarray(at, at + PER_ROW);
    const digits = Array.from(part, hex).join(" ").padEnd(PER_ROW * 3 - 1);
    const characters = Array.from(part, printable).join("");
    rows.push(`${at.toString(16).padStart(6, "0")}  ${digits}  ${characters}`);
  }
  if (bytes.length > limit) rows.push(`… ${bytes.length - limit} more bytes`);
  return rows.join("\n");
}

function hex(byte) {
  return byte.toString(16).padStart(2, "0");
}

function printable(byte) {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}
