// The differences between two lists of fields. Pure: lists of [name, value].

/**
 * Compare what was received with what was sent.
 *
 * Each result is {kind, name, before, after}; kind is "same", "changed",
 * "removed" or "added". A repeated field is compared line by line, in order.
 */
export function compare(received, sent) {
  const left = byName(sent);
  const rows = [];
  for (const [name, lines] of byName(received)) {
    rows.push(...pair(lines, left.get(name) ?? []));
    left.delete(name);
  }
  const added = [...left.values()].flat();
  return [...rows, ...added.map(([name, value]) => row("added", name, null, value))];
}

function byName(fields) {
  const groups = new Map();
  for (const field of fields) {
    const name = field[0].toLowerCase();
    if (groups.has(name)) groups.get(name).push(field);
    else groups.set(name, [field]);
  }
  return groups;
}

function pair(before, after) {
  const rest = [...after];
  const found = before.map(([, value]) => {
    const at = rest.findIndex((field) => field[1] === value);
    return at < 0 ? null : rest.splice(at, 1)[0];
  });
  const rows = before.map(([name, value], index) => {
    if (found[index]) return row("same", name, value, value);
    const changed = rest.shift();
    if (changed) return row("changed", name, value, changed[1]);
    return row("removed", name, value, null);
  });
  return [...rows, ...rest.map(([name, value]) => row("added", name, null, value))];
}

function row(kind, name, before, after) {
  return { kind, name, before, after };
}

/** How many rows are of which kind. */
export function tally(rows) {
  const counts = { same: 0, changed: 0, removed: 0, added: 0 };
  for (const each of rows) counts[each.kind] += 1;
  return counts;
}
