// A row of the feed brought up to date. Pure.

/** The row as it is `elapsed` seconds after it was received: its age and hold have grown. */
export function currentRow(row, elapsed) {
  const open = row.phase !== "over";
  const holding = open && row.holding !== null ? row.holding + elapsed : null;
  return {
    ...row,
    age: open ? row.age + elapsed : row.duration,
    holding,
    longest_hold: Math.max(row.longest_hold, holding ?? 0),
  };
}
