"""From outcomes to numbers: medians, ratios, spreads. Pure.

A result is plain JSON, and everything that is shown is made from it: the table
in the terminal, the tables of docs/performance.md, the plot.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from bench.loads import Load, Outcome, marks
from bench.measures import Row, Value
from bench.peers import DIRECT, OURS

Key = tuple[int, Load, str]  # round, load, peer
Outcomes = Mapping[Key, Outcome | str]  # in words why there is none


class Spread(TypedDict):
    median: float
    min: float
    max: float


class Cell(TypedDict):
    """One peer in one row. `values` and `ratios`: one for each round."""

    values: list[Value | None]
    ratios: list[float | None]
    value: Spread | None
    ratio: Spread | None
    words: str  # instead of a value, or beside it
    marks: list[str]


class RowResult(TypedDict):
    key: str
    name: str
    unit: str
    group: str
    load: str
    target: float | None
    pure: NotRequired[float | None]  # target without a compiled core, where it differs
    more_is_better: bool
    own: NotRequired[bool]  # ratios are to the peer's own value in another row
    cells: dict[str, Cell]


class Result(TypedDict):
    """A run, whole."""

    taken: str
    command: str
    rounds: int
    seconds: float
    took_seconds: float
    base: str
    machine: dict[str, str]
    versions: dict[str, str]
    missing: dict[str, str]
    rows: list[RowResult]
    runs: list[dict[str, object]]


def spread(values: Sequence[Value | None]) -> Spread | None:
    """Median, smallest and largest of the numbers among them."""
    known = [value for value in values if isinstance(value, int | float)]
    if not known:
        return None
    return Spread(median=statistics.median(known), min=min(known), max=max(known))


def ratios(
    values: Sequence[Value | None], base: Sequence[Value | None]
) -> list[float | None]:
    """Round by round, to what the base had in the same round."""
    found: list[float | None] = []
    for value, to in zip(values, base, strict=True):
        if isinstance(value, str | None) or isinstance(to, str | None) or to <= 0:
            found.append(None)
        else:
            found.append(value / to)
    return found


def value_of(row: Row, outcomes: Outcomes, number: int, peer: str) -> Value | None:
    """What a row says of one run; None: there was none."""
    outcome = outcomes.get((number, row.load, peer))
    if outcome is None or isinstance(outcome, str):
        return f"failed: {outcome}" if outcome else None
    value = row.value(outcome)
    if isinstance(value, str) or not math.isfinite(value):
        return value if isinstance(value, str) else "failed: nothing came through"
    if row.over_direct:
        direct = outcomes.get((number, row.load, DIRECT))
        if direct is None or isinstance(direct, str):
            return "no direct run to compare with"
        value -= float(row.value(direct))
    return round(value, 3)


def cell_of(
    row: Row, outcomes: Outcomes, rounds: int, peer: str, base: Sequence[Value | None]
) -> Cell | None:
    """None: this peer takes no part in this row."""
    values = [value_of(row, outcomes, number, peer) for number in range(rounds)]
    if all(value is None for value in values):
        return None
    to_base = ratios(values, base)
    if peer == DIRECT:  # what it takes without a proxy is no proxy's ratio
        to_base = [None] * rounds
    words = [value for value in values if isinstance(value, str)]
    said = [
        mark
        for number in range(rounds)
        if isinstance(outcome := outcomes.get((number, row.load, peer)), Outcome)
        for mark in marks(row.load, outcome)
    ]
    return Cell(
        values=values,
        ratios=[None if found is None else round(found, 3) for found in to_base],
        value=spread(values),
        ratio=spread(to_base),
        words=words[0] if words else "",
        marks=said,
    )


def collect(
    rows: Sequence[Row],
    outcomes: Outcomes,
    rounds: int,
    peers: Sequence[str],
    base: str,
) -> list[RowResult]:
    """Every row with its cells, peers in the order given."""
    by_key = {row.key: row for row in rows}
    results = []
    for row in rows:
        against = by_key.get(row.base, row)
        cells = {}
        for peer in peers:
            if peer == DIRECT and (row.over_direct or row.group != "latency"):
                continue
            to = peer if row.own else base
            of_base = [value_of(against, outcomes, n, to) for n in range(rounds)]
            if cell := cell_of(row, outcomes, rounds, peer, of_base):
                cells[peer] = cell
        results.append(
            RowResult(
                key=row.key,
                name=row.name,
                unit=row.unit,
                group=row.group,
                load=str(row.load),
                target=row.target,
                pure=row.pure,
                more_is_better=row.more_is_better,
                own=row.own,
                cells=cells,
            )
        )
    return results


def record(key: Key, outcome: Outcome | str) -> dict[str, object]:
    """One run for the JSON, whole."""
    number, load, peer = key
    about: dict[str, object] = {"round": number, "load": str(load), "peer": peer}
    if isinstance(outcome, str):
        return about | {"failed": outcome}
    return about | {
        "processor_seconds": round(outcome.cpu, 6),
        "memory_bytes": outcome.memory,
        "wall_seconds": round(outcome.wall, 2),
        "told": outcome.told,
    }


def target_of(row: RowResult, peer: str) -> float | None:
    """What the ratio of one of ours should be at the most."""
    return row.get("pure") if peer == OURS and row.get("pure") else row["target"]


def met(row: RowResult, peer: str) -> bool | None:
    """Whether a peer meets the row's target; None: there is none, or no number."""
    cell = row["cells"].get(peer)
    target = target_of(row, peer)
    if target is None or cell is None or cell["ratio"] is None:
        return None
    return cell["ratio"]["median"] <= target
