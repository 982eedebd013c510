// WebSocket frames (RFC 6455 §5) of one direction, read incrementally:
// bytes in, unmasked frames out. Of compression it knows only the bit.

import { phrase } from "../web/language.js";

const OPCODES = {
  0: "continuation",
  1: "text",
  2: "binary",
  8: "close",
  9: "ping",
  10: "pong",
};
export const LONGEST = 1024 * 1024; // bytes of a payload; the rest is dropped

export class FrameReader {
  #head = new Uint8Array(14);
  #have = 0; // bytes of the head
  #frame = null;
  #left = 0; // bytes of the payload still to come
  #filled = 0;

  /** `masked`: must frames be masked (§5.1)? null: either way. `coded`: may RSV1 be set? */
  constructor({ masked = null, coded = true } = {}) {
    this.masked = masked;
    this.coded = coded;
    this.fault = null; // why the bytes are not a frame; reading stops there
  }

  /** Does a new frame start with the next byte? */
  get isBetween() {
    return this.fault === null && this.#frame === null && this.#have === 0;
  }

  /** The frames that `piece` completes: {type, final, coded, masked, bytes, payload, cut}. */
  push(piece) {
    const frames = [];
    let at = 0;
    while (at < piece.length && this.fault === null) {
      at = this.#frame ? this.#payload(piece, at) : this.#headByte(piece, at);
      if (this.#frame && this.#left === 0) frames.push(this.#finish());
    }
    return frames;
  }

  #headByte(piece, at) {
    this.#head[this.#have++] = piece[at];
    if (this.#have === 2) this.fault = faultOf(this.#head, this);
    if (this.fault === null && this.#have >= 2 && this.#have === headLength(this.#head)) this.#begin();
    return at + 1;
  }

  #begin() {
    const head = this.#head.slice(0, this.#have);
    const view = new DataView(head.buffer);
    const short = head[1] & 0x7f;
    let length = short;
    if (short === 126) length = view.getUint16(2);
    else if (short === 127) length = Number(view.getBigUint64(2));
    const masked = (head[1] & 0x80) !== 0;
    this.#frame = {
      type: OPCODES[head[0] & 0x0f] ?? `opcode ${head[0] & 0x0f}`,
      final: (head[0] & 0x80) !== 0,
      coded: (head[0] & 0x40) !== 0,
      masked,
      bytes: length,
      payload: new Uint8Array(Math.min(length, LONGEST)),
      cut: length > LONGEST,
      key: masked ? head.slice(-4) : null,
    };
    this.#left = length;
    this.#filled = 0;
  }

  #payload(piece, at) {
    const taken = Math.min(this.#left, piece.length - at);
    const { payload, key } = this.#frame;
    const room = Math.min(taken, payload.length - this.#filled);
    for (let index = 0; index < room; index += 1) {
      const byte = piece[at + index];
      payload[this.#filled] = key ? byte ^ key[this.#filled & 3] : byte;
      this.#filled += 1;
    }
    this.#left -= taken;
    return at + taken;
  }

  #finish() {
    const { key, ...frame } = this.#frame;
    this.#frame = null;
    this.#have = 0;
    return frame;
  }
}

/** Why these two bytes cannot start a frame (§5.2, §5.5), or null. */
function faultOf([first, second], { masked, coded }) {
  const opcode = first & 0x0f;
  if (!(opcode in OPCODES)) return phrase("opcode {0} is not defined", opcode);
  if (first & (coded ? 0x30 : 0x70)) return phrase("a reserved bit is set that no extension has negotiated");
  if (masked === !(second & 0x80)) return phrase(masked ? "the frame is not masked" : "the frame is masked");
  if (opcode >= 8 && ((first & 0xc0) !== 0x80 || (second & 0x7f) > 125)) return phrase("a {0} frame must be short and not fragmented", OPCODES[opcode]);
  return null;
}

function headLength(head) {
  const short = head[1] & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  return 2 + extended + (head[1] & 0x80 ? 4 : 0);
}

/** Code and reason of a close frame. */
export function closeOf(payload) {
  if (payload.length < 2) return { code: null, reason: "" };
  const code = (payload[0] << 8) | payload[1];
  return { code, reason: new TextDecoder().decode(payload.subarray(2)) };
}

/** Was permessage-deflate negotiated? Given the fields of the response. */
export function isDeflated(fields) {
  return fields.some(
    ([name, value]) =>
      name.toLowerCase() === "sec-websocket-extensions" &&
      /\bpermessage-deflate\b/i.test(value),
  );
}

/** Is it a WebSocket, and not another protocol? Given the fields of the response. */
export function isWebSocket(fields) {
  const found = fields.find(([name]) => name.toLowerCase() === "upgrade");
  return !found || found[1].toLowerCase() === "websocket";
}
