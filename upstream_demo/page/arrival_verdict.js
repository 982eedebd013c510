// The verdict on the arrivals of a column, in one line. Pure: times in, text out.

import { seconds } from "./web/quantities.js";

// One network read delivers many messages within a moment. Taken relative to
// the time of the last one, so that the verdict does not depend on the pace.
const AT_ONCE = 0.1;
const STEADY = 0.25; // a gap may differ from the mean by this share of it

/**
 * Judge finished arrivals: milliseconds since the start, in order.
 * Returns {kind, key, values}: `key` and `values` are for text.js.
 */
export function judge(arrivals) {
  const count = arrivals.length;
  if (count === 0) return verdict("nothing", "verdict.nothing");
  const last = arrivals[count - 1];
  if (count === 1) return verdict("single", "verdict.single", seconds(last / 1000, 1));
  const span = last - arrivals[0];
  if (span <= AT_ONCE * last) {
    return verdict("at-once", "verdict.atOnce", count, seconds(arrivals[0] / 1000, 1));
  }
  const gaps = arrivals.slice(1).map((time, index) => time - arrivals[index]);
  const mean = span / gaps.length;
  if (gaps.every((gap) => Math.abs(gap - mean) <= STEADY * mean)) {
    return verdict("steady", "verdict.steady", count, seconds(mean / 1000, 1));
  }
  const longest = Math.max(...gaps);
  const times = [seconds(last / 1000, 1), seconds(longest / 1000, 1)];
  return verdict("uneven", "verdict.uneven", count, ...times);
}

function verdict(kind, key, ...values) {
  return { kind, key, values };
}
