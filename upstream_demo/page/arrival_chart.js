// Charts of arrivals against time. They draw marks, given in milliseconds, and do
// not know what the marks mean.

import { AnimationFrame } from "./web/animation_frame.js";

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 4.5;
const STACK = RADIUS * 2 + 1;
const LANE = { wide: 68, narrow: 92 };
const AXIS = 26;
const NARROW = 620; // px; below it a lane's name stands above the lane
const SHORTEST_AXIS = 7; // seconds: six messages, one a second, and some air

/** Lanes on one axis: a dot for each arrival, dots of one moment stacked. */
export class ArrivalChart {
  #svg;
  #lanes = [];
  #now = 0;
  #frame = new AnimationFrame(() => this.#draw());

  constructor(svg) {
    this.#svg = svg;
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  /** Start over with `lanes`, each {name, live}: name() gives its text. */
  begin(lanes) {
    this.#lanes = lanes.map((lane) => ({ ...lane, marks: [], ended: null }));
    this.#now = 0;
    this.draw();
  }

  mark(index, time) {
    this.#lanes[index].marks.push(time);
    this.advance(time);
  }

  end(index, time) {
    this.#lanes[index].ended ??= time;
    this.advance(time);
  }

  advance(time) {
    this.#now = Math.max(this.#now, time);
    this.draw();
  }

  /** Draw with the next frame: arrivals must not wait for one another's layout. */
  draw() {
    this.#frame.request();
  }

  #draw() {
    const width = this.#svg.clientWidth;
    if (width === 0) return;
    const scale = scaleFor(width, this.#now);
    const height = scale.lane * this.#lanes.length + AXIS;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.style.height = `${height}px`;
    this.#svg.replaceChildren(
      ...axis(scale, height),
      ...this.#lanes.flatMap((lane, index) => this.#lane(lane, index, scale)),
    );
  }

  #lane(lane, index, scale) {
    const base = scale.lane * (index + 1) - 14;
    const till = scale.x(lane.ended ?? this.#now);
    const kind = lane.live ? "live" : "held";
    const first = lane.marks.length ? scale.x(lane.marks[0]) : till;
    return [
      label(lane.name(), scale, base),
      line(scale.left, base, scale.right, base, "rail"),
      ...stretch(scale.left, first, base, "wait"),
      ...stretch(first, till, base, `run ${kind}`),
      ...stacks(lane.marks.map(scale.x)).flatMap((stack) => dots(stack, base, kind)),
    ];
  }
}

function scaleFor(width, now) {
  const narrow = width < NARROW;
  const left = narrow ? 14 : 168;
  const right = width - 30;
  const span = Math.max(SHORTEST_AXIS, Math.ceil(now / 1000 + 0.5));
  return {
    narrow,
    left,
    right,
    span,
    lane: narrow ? LANE.narrow : LANE.wide,
    x: (time) => left + ((right - left) * time) / 1000 / span,
  };
}

function axis(scale, height) {
  const step = scale.span <= 12 ? 1 : Math.ceil(scale.span / 10);
  const parts = [];
  for (let second = 0; second <= scale.span; second += step) {
    const x = scale.x(second * 1000);
    parts.push(line(x, 8, x, height - AXIS + 4, "grid"));
    const last = second + step > scale.span;
    parts.push(words(last ? `${second} s` : `${second}`, x, height - 6, "tick"));
  }
  return parts;
}

function label(text, scale, base) {
  if (scale.narrow) return words(text, scale.left - 6, base - 60, "name start");
  return words(text, 0, base + 4, "name start");
}

// A line shorter than a pixel would still show, as its round cap.
function stretch(from, to, y, kind) {
  return to - from >= 1 ? [line(from, y, to, y, kind)] : [];
}

/** Group positions that are closer than a dot: [[x, count], …]. */
function stacks(positions) {
  const found = [];
  for (const x of positions) {
    const last = found.at(-1);
    if (last && x - last[0] < RADIUS) last[1] += 1;
    else found.push([x, 1]);
  }
  return found;
}

function dots([x, count], base, kind) {
  const shown = Math.min(count, 6);
  const parts = Array.from({ length: shown }, (_, level) =>
    make("circle", { cx: x, cy: base - level * STACK, r: RADIUS, class: kind }),
  );
  if (count > 1) parts.push(words(`× ${count}`, x + 11, base - 22, "count start"));
  return parts;
}

/** A strip of ticks, one for each arrival; it always fills its width. */
export class Strip {
  #svg;
  #path;
  #marks = [];

  constructor(svg) {
    this.#svg = svg;
    this.#path = make("path", { "vector-effect": "non-scaling-stroke" });
    svg.append(this.#path);
  }

  begin() {
    this.#marks = [];
    this.#draw();
  }

  mark(time) {
    this.#marks.push(time);
    this.#draw();
  }

  #draw() {
    const width = Math.max(1, this.#marks.at(-1) ?? 1);
    this.#svg.setAttribute("viewBox", `0 0 ${width} 1`);
    this.#path.setAttribute("d", this.#marks.map((time) => `M${time} 0v1`).join(""));
  }
}

function line(x1, y1, x2, y2, kind) {
  return make("line", { x1, y1, x2, y2, class: kind });
}

function words(text, x, y, kind) {
  const element = make("text", { x, y, class: kind });
  element.textContent = text;
  return element;
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  return element;
}
