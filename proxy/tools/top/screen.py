"""The live list as text: which rows, in which order, in how many columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.line_writer import one_line
from proxy.quantities import clock, compact_seconds, traffic

Row = Mapping[str, Any]

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
WIDEST = 48  # of a target
COLUMNS = ("AGE", "ST", "METHOD", "TARGET", "KIND", "PIECES", "BYTES", "FIRST")
LAST_COLUMNS = ("GAP", "HOLD", "ENDING")
RIGHT = {"AGE", "PIECES", "BYTES", "FIRST", "GAP", "HOLD"}


def age(row: Row, now: float) -> float:
    """How long an exchange has lasted, or did."""
    duration = row["duration"]
    return float(now - row["started"] if duration is None else duration)


def ordered(rows: Sequence[Row], key: str, now: float) -> list[Row]:
    """Open ones first, then by the key of a column, the largest first."""
    _, value = SORTS[key]
    found = sorted(rows, key=lambda row: value(row, now), reverse=True)
    return sorted(found, key=lambda row: row["phase"] == "over")


def cells(row: Row, now: float) -> tuple[str, ...]:
    first = row["first_byte"]
    target = one_line(str(row["target"]))
    if len(target) > WIDEST:
        target = target[: WIDEST - 1] + "…"
    return (
        seconds(age(row, now)),
        str(row["status"] or "-"),
        one_line(str(row["method"])),
        target,
        one_line(str(row["kind"])),
        str(row["pieces"]),
        traffic(row["bytes"]),
        "-" if first is None else seconds(first),
        seconds(row["longest_gap"]),
        seconds(row["longest_hold"]),
        one_line(str(row["error"] or row["ending"] or row["phase"])),
    )


def table(rows: Sequence[Row], now: float, width: int, *, color: bool) -> list[str]:
    """The heading and a line for each row, no wider than `width`."""
    heading = (*COLUMNS, *LAST_COLUMNS)
    content = [cells(row, now) for row in rows]
    widths = [max(map(len, column)) for column in zip(heading, *content, strict=True)]
    lines = [paint(line(heading, widths)[:width], BOLD, color)]
    for row, each in zip(rows, content, strict=True):
        text = line(each, widths)[:width]
        if row["error"] or (row["status"] or 0) >= 500:
            text = paint(text, RED, color)
        elif row["phase"] == "over":
            text = paint(text, DIM, color)
        lines.append(text)
    return lines


def line(texts: Sequence[str], widths: Sequence[int]) -> str:
    shown = (
        text.rjust(width) if name in RIGHT else text.ljust(width)
        for text, width, name in zip(
            texts, widths, (*COLUMNS, *LAST_COLUMNS), strict=True
        )
    )
    return "  ".join(shown).rstrip()


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
    lines += table(shown, now, width, color=color)
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


def seconds(value: float) -> str:
    """A duration as a person reads it."""
    return clock(value) if value >= 60 else compact_seconds(value)
