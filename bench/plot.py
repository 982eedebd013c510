"""A result as a picture: a panel of bars for each row, lines for growth. Pure.

Bars show ratios to the base on a logarithmic scale, from the line at 1: to the
left is cheaper, to the right dearer, and as far for half as for double.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.peers import BOTH
from bench.results import Result, RowResult
from bench.svg import Point, bar, document, dot, line, path, text
from bench.table import number

WIDTH = 980.0
PANEL = 470.0  # two side by side
NAMES = 152.0  # before the bars
ROOM = 44.0  # for the number behind a bar
LINE = 19.0
SHOWN = (
    *("piece-100", "piece-1000", "added-p50", "memory-2000", "request", "body"),
    *("leaving", "workers-requests", "workers-piece"),
)
GROWTH_HEIGHT = 330.0


def kind_of(peer: str, base: str) -> str:
    return "-ours" if peer in BOTH else "-base" if peer == base else ""


def bounds(rows: Sequence[RowResult]) -> tuple[float, float]:
    """The powers of two between which all ratios lie."""
    found = [1.0]
    for row in rows:
        found += [
            cell["ratio"]["median"]
            for cell in row["cells"].values()
            if cell["ratio"] and cell["ratio"]["median"] > 0
        ]
    low = math.floor(math.log2(min(found)))
    high = math.ceil(math.log2(max(found)))
    return max(low, -3), max(min(high, 7), 1)


def panel(
    row: RowResult, base: str, at: Point, scale: tuple[float, float]
) -> list[str]:
    """One row: a bar for each peer, or in words why there is none."""
    left, top = at
    low, high = scale
    start, room = left + NAMES, PANEL - NAMES - ROOM - 12

    def place(ratio: float) -> float:
        power = min(max(math.log2(max(ratio, 1e-9)), low), high)
        return start + (power - low) / (high - low) * room

    parts = [text(left, top, row["name"], "title")]
    better = "right is better" if row["more_is_better"] else "left is better"
    parts.append(text(left, top + 15, f"× {base}, logarithmic; {better}", "quiet"))
    y = top + 24
    for peer, cell in row["cells"].items():
        kind = "ours" if peer in BOTH else ""
        parts.append(text(start - 8, y + 13, peer, f"end {kind}"))
        if cell["ratio"] is None:
            parts.append(text(place(1) + 5, y + 13, short(cell["words"]), "quiet"))
        else:
            ratio = cell["ratio"]["median"]
            width = place(ratio) - place(1)
            fill = f"bar{kind_of(peer, base)}"
            parts.append(bar(place(1), y + 2, width, LINE - 5, fill))
            star = "*" if cell["marks"] else ""
            end = max(place(ratio), place(1)) + 5
            parts.append(text(end, y + 13, f"{ratio:.2f}{star}", kind))
        if peer in BOTH and row["target"] and cell["ratio"]:
            x = place(row["target"])
            parts.append(line((x, y), (x, y + LINE - 2), "target"))
        y += LINE
    parts.append(line((place(1), top + 24), (place(1), y), "axis"))
    return parts


def short(words: str) -> str:
    return words if len(words) <= 34 else words[:33] + "…"


def panel_height(row: RowResult) -> float:
    return 24 + LINE * len(row["cells"]) + 26


def spaced(ends: list[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Labels from top to bottom, moved down where they would overlap."""
    placed: list[tuple[float, str]] = []
    for y, name in sorted(ends):
        placed.append((max(y, placed[-1][0] + gap) if placed else y, name))
    return placed


def growth(rows: Sequence[RowResult], base: str, top: float) -> list[str]:
    """Processor time per piece against the number of streams, a line for each peer."""
    counts = [int(row["key"].partition("-")[2]) for row in rows]
    lines: dict[str, list[tuple[int, float]]] = {}
    for count, row in zip(counts, rows, strict=True):
        for peer, cell in row["cells"].items():
            if cell["value"]:
                points = lines.setdefault(peer, [])
                points.append((count, cell["value"]["median"]))
    most = max((y for points in lines.values() for _, y in points), default=1)
    least = min((y for points in lines.values() for _, y in points), default=1)
    # At least a factor of ten from bottom to top, so that flat looks flat.
    low, high = math.log(min(least * 0.85, most / 8)), math.log(most * 1.25)
    left, right, bottom = 62.0, WIDTH - 190, top + GROWTH_HEIGHT - 34

    def place(count: int, value: float) -> Point:
        across = math.log(count / counts[0]) / (math.log(counts[-1] / counts[0]) or 1)
        up = (math.log(value) - low) / (high - low)
        return left + across * (right - left), bottom - up * (bottom - top - 40)

    parts = [text(16, top, "Processor time per piece as streams grow", "title")]
    parts.append(text(16, top + 15, "µs, 5,000 pieces a second in all", "quiet"))
    for value in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if low <= math.log(value) <= high:
            _, y = place(counts[0], value)
            parts.append(line((left, y), (right, y), "grid"))
            parts.append(text(left - 8, y + 4, f"{value:,}", "quiet end"))
    for count in counts:
        x, _ = place(count, most)
        parts.append(text(x, bottom + 18, f"{count:,}", "quiet middle"))
    parts.append(text((left + right) / 2, bottom + 33, "open streams", "quiet middle"))
    ends = []
    for peer, points in lines.items():
        steps = [place(*point) for point in points]
        parts.append(path(steps, f"line{kind_of(peer, base)}"))
        parts += [dot(step, f"bar{kind_of(peer, base)}") for step in steps]
        lost = "" if len(points) == len(counts) else f", to {points[-1][0]:,}"
        ends.append((steps[-1][1], f"{peer} {number(points[-1][1])}{lost}"))
    for y, words in spaced(ends, 14):
        kind = "ours" if words.startswith(BOTH) else "quiet"
        parts.append(text(right + 8, y + 4, words, kind))
    return parts


def plot(result: Result) -> str:
    """The whole picture, as the text of an SVG file."""
    rows = {row["key"]: row for row in result["rows"] if row["cells"]}
    shown = [rows[key] for key in SHOWN if key in rows]
    scale = bounds(shown)
    base = result["base"]
    parts = [text(16, 28, f"Unbuffered beside its peers, {base} = 1", "heading")]
    rounds = "one round" if result["rounds"] == 1 else f"{result['rounds']} rounds"
    note = f"{result['taken']}, median of {rounds}; * with a remark"
    parts.append(text(16, 46, f"{note}; orange: the target", "quiet"))
    y = 78.0
    for first in range(0, len(shown), 2):
        pair = shown[first : first + 2]
        for column, row in enumerate(pair):
            parts += panel(row, base, (16 + column * (PANEL + 8), y), scale)
        y += max(panel_height(row) for row in pair)
    lines = [row for key, row in rows.items() if key.startswith("growth-")]
    if len(lines) > 1:
        parts += growth(lines, base, y)
        y += GROWTH_HEIGHT
    return document(WIDTH, y + 12, "Unbuffered beside its peers", parts)
