"""Which columns of the list fit into a terminal, and how wide each may be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from proxy.line_writer import one_line
from proxy.quantities import clock, compact_seconds, traffic

Row = Mapping[str, Any]

GAP = 2  # between two columns


class Column(NamedTuple):
    """`text`: of a row, at a time. `rank`: the lowest are left out last.

    `least` and `most`: between these widths a long text is cut; 0: it never is.
    """

    name: str
    rank: int
    text: Callable[[Row, float], str]
    right: bool = False
    least: int = 0
    most: int = 0

    def narrow(self, natural: int) -> int:
        """The least width for texts of which the longest is so long."""
        return min(natural, max(self.least, len(self.name))) if self.least else natural

    def wide(self, natural: int) -> int:
        """The most that it takes of the room that is left."""
        return min(natural, max(self.most, len(self.name))) if self.most else natural


class Placed(NamedTuple):
    """A column, its width, and its text in each row."""

    column: Column
    width: int
    texts: Sequence[str]


def age(row: Row, now: float) -> float:
    """How long an exchange has lasted, or did."""
    duration = row["duration"]
    return float(now - row["started"] if duration is None else duration)


def seconds(value: float) -> str:
    """A duration as a person reads it."""
    return clock(value) if value >= 60 else compact_seconds(value)


def said(key: str) -> Callable[[Row, float], str]:
    """What a row says under a key; `-`: nothing, or it comes from an older proxy."""
    return lambda row, now: one_line(str(row.get(key) or "-"))


def first_byte(row: Row, now: float) -> str:
    first = row["first_byte"]
    return "-" if first is None else seconds(first)


def ending(row: Row, now: float) -> str:
    return one_line(str(row["error"] or row["ending"] or row["phase"]))


COLUMNS = (
    Column("AGE", 0, lambda row, now: seconds(age(row, now)), right=True),
    Column("ST", 1, said("status")),
    Column("METHOD", 6, lambda row, now: one_line(str(row["method"]))),
    Column("TARGET", 2, lambda row, now: one_line(str(row["target"])), False, 16, 48),
    Column("ROUTE", 5, said("route"), False, 8, 24),
    Column("CLIENT", 4, said("client"), False, 15, 39),
    Column("HOST", 9, said("host"), False, 12, 30),
    Column("KIND", 8, lambda row, now: one_line(str(row["kind"]))),
    Column("PIECES", 10, lambda row, now: str(row["pieces"]), right=True),
    Column("BYTES", 12, lambda row, now: traffic(row["bytes"]), right=True),
    Column("FIRST", 13, first_byte, right=True),
    Column("GAP", 11, lambda row, now: seconds(row["longest_gap"]), right=True),
    Column("HOLD", 7, lambda row, now: seconds(row["longest_hold"]), right=True),
    Column("ENDING", 3, ending, False, 8, 40),
)
LAST = COLUMNS[-1].name


def placed(
    rows: Sequence[Row], now: float, width: int, sorted_by: str = ""
) -> list[Placed]:
    """As many columns as fit, in their order; that by which is sorted among them.

    What is left of the width goes to those whose texts are cut.
    """
    found = [Placed(each, 0, [each.text(row, now) for row in rows]) for each in COLUMNS]
    natural = {
        column.name: max(map(len, (column.name, *texts))) for column, _, texts in found
    }
    widths: dict[str, int] = {}
    room = width + GAP
    for column in sorted(COLUMNS, key=lambda each: (each.name != sorted_by, each.rank)):
        needed = column.narrow(natural[column.name])
        if needed + GAP <= room:
            widths[column.name] = needed
            room -= needed + GAP
    for column in sorted(COLUMNS, key=lambda each: each.rank):
        if column.name in widths:
            most = column.wide(natural[column.name])
            more = min(most - widths[column.name], room)
            widths[column.name] += more
            room -= more
    if LAST in widths:
        widths[LAST] += min(natural[LAST] - widths[LAST], room)
    return [
        Placed(column, widths[column.name], texts)
        for column, _, texts in found
        if column.name in widths
    ]


def cell(text: str, column: Column, width: int) -> str:
    """A text in its column; a long one ends in an ellipsis."""
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.rjust(width) if column.right else text.ljust(width)
