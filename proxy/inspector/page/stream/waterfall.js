// The waterfall of a stream: when each piece arrived and when it was sent on.
//
// The upstream is above, the client below, time runs to the right. A response
// piece goes down, a request piece goes up; a slanted line was held. A heartbeat of
// the proxy is a dot on the client's line.

import { dot, line, middle, write } from "../ui/canvas.js";
import { AnimationFrame } from "../web/animation_frame.js";
import { make } from "../web/dom.js";
import { counted, phrase } from "../web/language.js";
import { bytes, duration, seconds } from "../web/quantities.js";
import { gaps, lanes, longestGap, nearest, ticks, tickText, timeRange } from "./time_axis.js";

const LEFT = 84; // pixels, for the names of the lanes
const RIGHT = 18;
const UP = 46; // of the upstream's lane
const DOWN = 96; // of the client's
const AXIS = 118;
const HEIGHT = 138;
const MOSTLY = 0.8; // share of a silence that makes a hold its cause
const HELD = 0.05; // seconds; a longer hold is drawn as one
const COLOURS = ["ink", "soft", "line", "rail", "accent", "alarm", "wait", "request", "panel"];

export class Waterfall {
  #frame = new AnimationFrame(() => this.#draw());
  #selected = null;
  #end = 0;
  #open = true;
  #window = 0;
  #stall = 2;

  /** `select` is called with the piece that the user selects. */
  constructor(recording, select) {
    this.recording = recording;
    this.select = select;
    this.canvas = make("canvas", {
      class: "waterfall",
      role: "slider",
      tabIndex: 0,
      "aria-label": phrase("Pieces over time"),
      "aria-valuemin": "0",
      "data-testid": "waterfall",
    });
    this.tip = make("p", { class: "tip", hidden: true, "data-testid": "tip" });
    this.element = make("div", { class: "drawing" }, this.canvas, this.tip);
    this.canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.canvas.addEventListener("pointerleave", () => this.#showTip(this.#selected));
    this.canvas.addEventListener("click", (event) => this.#choose(this.#under(event)));
    this.canvas.addEventListener("keydown", (event) => this.#pressed(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.#redraw);
  }

  #redraw = () => this.draw();

  close() {
    this.scheme.removeEventListener("change", this.#redraw);
    this.#frame.cancel();
  }

  /** `stall` and `window` in seconds; a window of 0 shows all. */
  settings({ stall = this.#stall, window = this.#window }) {
    this.#stall = stall;
    this.#window = window;
    this.draw();
  }

  /** The current time is `end` seconds; `open`: more pieces may arrive. */
  advance(end, open) {
    this.#end = end;
    this.#open = open;
    this.draw();
  }

  /** Mark a piece that was selected elsewhere. */
  mark(index) {
    this.#selected = index;
    this.#showTip(index);
    this.draw();
  }

  draw() {
    this.#frame.request();
  }

  get #shown() {
    const piece = this.recording.pieces.get(this.#selected);
    return timeRange(this.#end, this.#window, piece ? piece.arrived : null);
  }

  // Once per drawing: a hundred thousand pieces each need a position.
  #measure() {
    const width = this.element.clientWidth;
    const { from, to } = this.#shown;
    this.view = { width, from, to, scale: (width - LEFT - RIGHT) / (to - from) };
    const { version } = this.recording;
    if (this.lanes?.version !== version) {
      this.lanes = { version, ...lanes(this.recording.pieces) };
    }
  }

  #x(time) {
    return LEFT + (time - this.view.from) * this.view.scale;
  }

  // -- drawing

  #draw() {
    this.#measure();
    const { width } = this.view;
    if (width === 0) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(HEIGHT * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    this.ink = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`)]));
    context.font = `11px ${style.getPropertyValue("--sans")}`;
    this.#axis(context, width);
    context.save();
    context.beginPath();
    context.rect(LEFT - 6, 0, width - LEFT, HEIGHT);
    context.clip();
    this.#rails(context);
    this.#pieces(context);
    this.#mark(context);
    context.restore();
    this.#describe();
  }

  #axis(context, width) {
    const { from, to } = this.view;
    const { step, at } = ticks(from, to, width - LEFT - RIGHT);
    context.textAlign = "center";
    for (const time of at) {
      const x = Math.round(this.#x(time)) + 0.5;
      line(context, this.ink.line, 1, x, 24, x, AXIS - 6);
      write(context, this.ink.soft, tickText(time, step), x, AXIS + 8);
    }
    context.textAlign = "left";
    write(context, this.ink.ink, phrase("upstream"), 16, UP + 4);
    write(context, this.ink.ink, phrase("client"), 16, DOWN + 4);
  }

  #rails(context) {
    const { up, down } = this.lanes;
    for (const [y, times] of [[UP, up], [DOWN, down]]) {
      line(context, this.ink.rail, 1, this.#x(0), y, this.#x(this.#end), y);
      // Missing pieces are not a silence.
      const start = this.recording.beginsWhole && y === UP ? 0 : null;
      const now = this.#open || y === UP ? this.#end : null;
      const found = gaps(times, this.#stall, start, now);
      for (const gap of found.filter((each) => !this.#isBroken(each))) this.#stallAt(context, y, gap, this.#isOwn(y, gap));
      if (y === UP) this.#longest(context, times);
    }
  }

  // A side that has nothing to send, or may not send, is not at fault: faint. A tunnel
  // may be silent for as long as it likes: grey.
  #stallAt(context, y, [from, to], own) {
    const [left, right] = [this.#x(from), this.#x(to)];
    const { isTunnel } = this.recording;
    context.globalAlpha = own || isTunnel ? 1 : 0.3;
    line(context, isTunnel ? this.ink.rail : this.ink.alarm, 3, left, y, Math.max(right, left + 1), y);
    context.globalAlpha = 1;
    if (!own || right - left < 44) return;
    context.textAlign = "center";
    const beside = y === UP ? y - 12 : y + 14;
    write(context, isTunnel ? this.ink.soft : this.ink.alarm, duration(to - from), middle(left, right), beside);
  }

  #isBroken([from, to]) {
    return this.recording.breaks.some((time) => from <= time && time < to);
  }

  // A silence is the client's own fault if a piece was waiting for it; it is the
  // upstream's own unless a piece waited for the client most of the time.
  #isOwn(lane, [from, to]) {
    const { pieces } = this.recording;
    let held = 0; // seconds of it in which a piece waited
    for (let index = pieces.end - 1; index >= pieces.first && held === 0; index -= 1) {
      const { side, arrived, sent } = pieces.get(index);
      const waited = Math.min(sent ?? to, to) - Math.max(arrived, from);
      if (side === "response" && waited >= HELD) held = waited;
      if (arrived < from) break;
    }
    return lane === UP ? held < (to - from) * MOSTLY : held > 0;
  }

  // The longest gap below the threshold is labelled, so that a rhythm shows.
  #longest(context, times) {
    const longest = longestGap(times);
    const [left, right] = longest.map((time) => this.#x(time));
    const span = longest[1] - longest[0];
    if (span >= this.#stall || right - left < 60 || !this.tip.hidden) return;
    context.textAlign = "center";
    const label = phrase("longest gap {0}", duration(span));
    const half = context.measureText(label).width / 2;
    write(context, this.ink.soft, label, Math.max(middle(left, right), LEFT + half), UP - 14);
    line(context, this.ink.soft, 1, left + 3, UP - 8.5, right - 3, UP - 8.5);
  }

  #pieces(context) {
    const { from, to } = this.view;
    const drawn = new Set();
    const crowded = this.recording.pieces.size > 400;
    for (const piece of this.recording.pieces) {
      const last = piece.sent ?? this.#end;
      if (last < from || piece.arrived > to) continue;
      const [x1, x2] = [this.#x(piece.arrived), this.#x(last)];
      // Of several pieces on one pixel, one is drawn.
      const key = (Math.round(x1 * 2) * 65536 + Math.round(x2 * 2)) * 2 + (piece.side === "request");
      if (drawn.has(key)) continue;
      drawn.add(key);
      this.#piece(context, piece, x1, x2, crowded);
    }
  }

  #piece(context, piece, x1, x2, crowded) {
    if (piece.side === "heartbeat") {
      dot(context, this.ink.soft, x1, DOWN, crowded ? 1.5 : 2.5);
      return;
    }
    if (piece.own) {
      dot(context, this.ink.alarm, x1, DOWN, 3.5);
      return;
    }
    const isResponse = piece.side === "response";
    const [start, end] = isResponse ? [UP, DOWN] : [DOWN, UP];
    const held = (piece.sent ?? this.#end) - piece.arrived >= HELD;
    const colour = isResponse ? this.ink.accent : this.ink.request;
    context.globalAlpha = held ? 0.9 : crowded ? 0.25 : 0.4;
    line(context, held ? this.ink.wait : colour, held ? 1.5 : 1, x1, start, x2, end);
    context.globalAlpha = 1;
    const radius = crowded ? 2 : 3.5;
    dot(context, colour, x1, start, radius);
    if (piece.sent !== null) dot(context, colour, x2, end, radius, isResponse ? null : this.ink.panel);
  }

  #mark(context) {
    const piece = this.recording.pieces.get(this.#selected);
    if (!piece) return;
    const isResponse = piece.side === "response";
    const x1 = this.#x(piece.arrived);
    if (piece.side === "heartbeat" || piece.own) {
      dot(context, this.ink.ink, x1, DOWN, 4.5);
      return;
    }
    const x2 = this.#x(piece.sent ?? this.#end);
    line(context, this.ink.ink, 2, x1, isResponse ? UP : DOWN, x2, isResponse ? DOWN : UP);
    dot(context, this.ink.ink, x1, isResponse ? UP : DOWN, 4.5);
    dot(context, this.ink.ink, x2, isResponse ? DOWN : UP, 4.5);
  }

  // -- pieces under the pointer, and by the keys

  #under(event) {
    const { pieces } = this.recording;
    const left = event.offsetX;
    const time = this.view.from + (left - LEFT) / this.view.scale;
    const at = nearest(pieces.first, pieces.end, (index) => pieces.get(index).arrived, time);
    return at !== null && Math.abs(this.#x(pieces.get(at).arrived) - left) < 40 ? at : null;
  }

  #hover(event) {
    this.#showTip(this.#under(event) ?? this.#selected);
  }

  #choose(index) {
    if (index === null) return;
    this.mark(index);
    this.select(this.recording.pieces.get(index));
  }

  #pressed(event) {
    const { pieces } = this.recording;
    const last = pieces.end - 1;
    const at = this.#selected ?? (event.key === "ArrowRight" ? pieces.first - 1 : pieces.end);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: pieces.first, End: last }[event.key];
    if (to === undefined || last < pieces.first) return;
    event.preventDefault();
    event.stopPropagation();
    this.#choose(Math.max(pieces.first, Math.min(last, to)));
  }

  #showTip(index) {
    const piece = this.recording.pieces.get(index);
    this.tip.hidden = !piece;
    if (!piece) return;
    this.tip.textContent = description(piece);
    this.#measure();
    const room = this.view.width - this.tip.offsetWidth - 8;
    const x = this.#x(piece.arrived) - this.tip.offsetWidth / 2;
    this.tip.style.transform = `translateX(${Math.max(8, Math.min(room, x))}px)`;
  }

  #describe() {
    const { pieces } = this.recording;
    const piece = pieces.get(this.#selected);
    this.canvas.setAttribute("aria-valuemax", String(pieces.end));
    this.canvas.setAttribute("aria-valuenow", String(piece ? piece.index + 1 : 0));
    this.canvas.setAttribute("aria-valuetext", piece ? description(piece) : counted(pieces.end, "{0} piece", "{0} pieces"));
  }
}

const NAMES = { response: "piece {0}", request: "request piece {0}", heartbeat: "heartbeat, piece {0}" };

function description(piece) {
  const name = phrase(NAMES[piece.side], piece.index + 1);
  const facts = [bytes(piece.bytes), phrase("at {0} s", seconds(piece.arrived))];
  if (piece.gap !== null) facts.push(phrase("gap {0}", duration(piece.gap)));
  facts.push(piece.sent === null ? phrase("not sent yet") : phrase("held {0}", duration(piece.sent - piece.arrived)));
  return [name, facts.join(phrase(", "))].join(phrase(": "));
}
