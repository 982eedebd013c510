"""The live list as text: which rows, in which order, in how many columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.line_writer import one_line
from proxy.tools.top.columns import GAP, Placed, Row, age, cell, placed

RED, DIM, BOLD, REVERSE, PLAIN = (
    "\x1b[31m",
    "\x1b[2m",
    "\x1b[1m",
    "\x1b[7m",
    "\x1b[0m",
)
SORTS: dict[str, tuple[str, Callable[[Row, float], Any]]] = {
    "a": ("age", lambda row, now: age(row, now)),
    "p": ("pieces", lambda row, now: row["pieces"]),
    "b": ("bytes", lambda row, now: row["bytes"]),
    "g": ("gap", lambda row, now: row["longest_gap"]),
    "h": ("hold", lambda row, now: row["longest_hold"]),
    "n": ("newest", lambda row, now: row["started"]),
}
SORTED_BY = {"p": "PIECES", "b": "BYTES", "g": "GAP", "h": "HOLD"}


def ordered(rows: Sequence[Row], key: str, now: float) -> list[Row]:
    """Open ones first, then by the key of a column, the largest first."""
    _, value = SORTS[key]
    found = sorted(rows, key=lambda row: value(row, now), reverse=True)
    return sorted(found, key=lambda row: row["phase"] == "over")


def table(
    rows: Sequence[Row], now: float, width: int, *, color: bool, key: str = ""
) -> list[str]:
    """The heading and a line for each row, no wider than `width`.

    `key`: by which it is sorted.
    """
    columns = placed(rows, now, width, SORTED_BY.get(key, ""))
    heading = line([(each.column.name, each) for each in columns])
    lines = [paint(heading[:width], BOLD, color)]
    for number, row in enumerate(rows):
        text = line([(each.texts[number], each) for each in columns])[:width]
        if row["error"] or (row["status"] or 0) >= 500:
            text = paint(text, RED, color)
        elif row["phase"] == "over":
            text = paint(text, DIM, color)
        lines.append(text)
    return lines


def line(cells: Sequence[tuple[str, Placed]]) -> str:
    """One line of the table."""
    shown = (cell(text, each.column, each.width) for text, each in cells)
    return (" " * GAP).join(shown).rstrip()


def screen(
    rows: Sequence[Row],
    warnings: Sequence[Mapping[str, Any]],
    facts: str,
    key: str,
    now: float,
    area: tuple[int, int],
    *,
    color: bool,
) -> list[str]:
    """All lines of a terminal of so many columns and lines."""
    width, height = area
    opened = sum(row["phase"] != "over" for row in rows)
    by = ", ".join(f"{letter} {name}" for letter, (name, _) in SORTS.items())
    title = f"Unbuffered  {opened} open, {len(rows) - opened} recent  {one_line(facts)}"
    lines = [paint(title[:width], BOLD, color)]
    lines += [paint(warned(each)[:width], RED, color) for each in warnings[:3]]
    lines.append("")
    room = max(height - len(lines) - 2, 1)
    shown = ordered(rows, key, now)[:room]
    lines += table(shown, now, width, color=color, key=key)
    lines += [""] * (height - len(lines) - 1)
    lines.append(
        paint(f"q quit; sort: {by}; now by {SORTS[key][0]}"[:width], DIM, color)
    )
    return lines


def warned(warning: Mapping[str, Any]) -> str:
    """The line of a warning."""
    return f"! {one_line(str(warning['text']))}"


def paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{PLAIN}" if color and text else text
