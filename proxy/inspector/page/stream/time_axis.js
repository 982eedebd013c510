// Arithmetic of the waterfall: its time axis, gaps, the nearest piece. Pure.

import { clock } from "../web/quantities.js";

const STEPS = [1, 2, 5];
const LEAST = 1e-4; // seconds between two ticks

/** Ticks of an axis from `from` to `to` seconds, about `room` pixels apart. */
export function ticks(from, to, width, room = 90) {
  const span = Math.max(to - from, 1e-6);
  const step = stepFor((span * room) / Math.max(width, 1));
  const found = [];
  for (let index = Math.ceil(from / step - 1e-9); index * step <= to + 1e-9; index += 1) {
    found.push(index * step);
  }
  return { step, at: found };
}

function stepFor(wanted) {
  for (let power = LEAST; ; power *= 10) {
    for (const factor of STEPS) {
      if (power * factor >= wanted) return power * factor;
    }
  }
}

/** The label of a tick, with enough digits to differ from its neighbour's. */
export function tickText(seconds, step) {
  if (step < 0.01) return `${(seconds * 1000).toFixed(step < 0.001 ? 1 : 0)} ms`;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  if (digits === 0 && (seconds >= 120 || step >= 10)) return clock(Math.round(seconds));
  return `${seconds.toFixed(digits)} s`;
}

/** The time range that is drawn: all of it, or the last `seconds`. */
export function timeRange(end, seconds, around = null) {
  const whole = Math.max(end, 0.001);
  if (!seconds || seconds >= whole) return { from: 0, to: whole * 1.01 };
  if (around === null) return { from: whole - seconds, to: whole + seconds * 0.01 };
  const from = Math.min(Math.max(0, around - seconds / 2), whole - seconds);
  return { from, to: from + seconds };
}

/**
 * Gaps of at least `least` seconds between `times`, in order; the first begins
 * at `start`, the last one ends at `now`, unless that is null: [[from, to], …].
 */
export function gaps(times, least, start, now) {
  const found = [];
  let before = start;
  for (const time of times) {
    if (before !== null && time - before >= least) found.push([before, time]);
    before = time;
  }
  if (now !== null && before !== null && now - before >= least) found.push([before, now]);
  return found;
}

/** The times of both lanes, in order: {up: […], down: […]}. */
export function lanes(pieces) {
  const found = { up: [], down: [] };
  for (const { side, own, arrived, sent } of pieces) {
    if (side === "heartbeat" || own) continue; // ends no silence of the upstream
    const [from, to] = side === "response" ? [found.up, found.down] : [found.down, found.up];
    from.push(arrived);
    if (sent !== null) to.push(sent);
  }
  for (const times of Object.values(found)) times.sort((one, other) => one - other);
  return found;
}

/** The longest pause between two of `times`: [from, to]. */
export function longestGap(times) {
  let longest = [0, 0];
  for (let index = 1; index < times.length; index += 1) {
    if (times[index] - times[index - 1] > longest[1] - longest[0]) {
      longest = [times[index - 1], times[index]];
    }
  }
  return longest;
}

/** Index of the piece whose time is nearest; pieces are in order of `of(index)`. */
export function nearest(first, end, of, time) {
  if (end <= first) return null;
  let [low, high] = [first, end - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(middle) < time) low = middle + 1;
    else high = middle;
  }
  if (low > first && time - of(low - 1) < of(low) - time) return low - 1;
  return low;
}
