// Numbers as a person reads them. Pure: seconds and bytes in, text out.

export const NOTHING = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Seconds, with as many digits as tell something: 0.3 ms, 3.42 s, 12:05. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const value = Math.max(0, seconds);
  if (value < 0.00005) return "0 ms";
  if (value < 0.01) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.995) return `${value.toFixed(2)} s`;
  if (value < 59.95) return `${value.toFixed(1)} s`;
  return clock(Math.floor(value));
}

function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
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

/** A moment of the wall clock, from seconds since 1970. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}
