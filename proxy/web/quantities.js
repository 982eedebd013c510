// Formats of times, sizes and counts. Pure: seconds and bytes in, text out.

export const NOTHING = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A duration, with as many digits as are useful: 0.3 ms, 3.42 s, 12:05. */
export function duration(given) {
  if (given === null || given === undefined) return NOTHING;
  const value = Math.max(0, given);
  if (value < 0.00005) return "0 ms";
  if (value < 0.01) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.995) return `${value.toFixed(2)} s`;
  if (value < 59.95) return `${value.toFixed(1)} s`;
  return clock(Math.floor(value));
}

/** Whole seconds as 12:05 or 1:02:03. */
export function clock(whole) {
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = two(whole % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** Seconds with fixed digits, and without a unit: times of one list line up. */
export function seconds(value, digits = 3) {
  return value.toFixed(digits);
}

/** Bytes in powers of ten, as the network counts. */
export function bytes(count) {
  if (count === null || count === undefined) return NOTHING;
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit && value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function rate(perSecond) {
  return perSecond ? `${bytes(perSecond)}/s` : NOTHING;
}

/** 12345 as 12,345. */
export function count(number) {
  return number.toLocaleString("en");
}

/** `1 event`, `2 events`. */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Time of day, from seconds since 1970: 12:03:55, or 12:03:55.042 with `digits` 3. */
export function clockTime(seconds, digits = undefined) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: digits };
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", options);
}

/** Day and time of day: 2026-11-29 12:03:55. */
export function dateTime(seconds) {
  return `${new Date(seconds * 1000).toLocaleDateString("sv-SE")} ${clockTime(seconds)}`;
}
