"""What is measured: a row, and how its value is taken from a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.loads import Load, Outcome, order_marks

Value = float | str  # a number, or in words why there is none


@dataclass(frozen=True)
class Row:
    """One measure. `key` names it in results; `base` is the row whose value for
    the base is compared with, where it is not the row itself."""

    key: str
    name: str
    unit: str
    load: Load
    value: Callable[[Outcome], Value]
    group: str
    target: float | None = None  # ratio to nginx, or to what `own` says
    pure: float | None = None  # the same without a compiled core, where it differs
    more_is_better: bool = False
    over_direct: bool = False  # minus the same without a proxy, in the same round
    base: str = ""
    own: bool = False  # the ratio is to the same proxy's value in `base`


def per_piece(outcome: Outcome) -> float:
    return outcome.cpu / outcome.pieces * 1e6


def per_second(outcome: Outcome) -> float:
    return outcome.pieces / outcome.told["seconds"]


def per_life(outcome: Outcome) -> Value:
    """Of clients that came and had all that they came for."""
    ended = outcome.told["ended"]
    return outcome.cpu / ended * 1e6 if ended else "failed: no client had all of it"


def per_resumption(outcome: Outcome) -> Value:
    """Only if all but the first few handshakes took up an earlier session."""
    said = outcome.told
    if said["resumed"] < said["opened"] * 0.95:
        return f"failed: {said['resumed']:,.0f} of {said['opened']:,.0f} were resumed"
    return per_life(outcome)


def per_body(outcome: Outcome) -> Value:
    size = outcome.told["bytes"]
    return outcome.cpu * 1e3 / (size / 1e8) if size else "failed: no bytes came"


def told(name: str) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.told[name]


def per_stream(count: int) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.memory / count / 1024


def decoded(outcome: Outcome) -> Value:
    """Time of a compressed event, or why there is none."""
    said = outcome.told
    if said["undecoded"]:
        return f"not decoded (coded bytes after {said['p50_us']:.0f} µs)"
    if not said["received"]:
        return "not decoded, coding not named" if said["unreadable"] else "held"
    if said["held"] > said["received"] / 2:
        return f"held: {said['held'] / said['received']:.0%} waited for the next event"
    return said["p50_us"]


def per_kept_piece(outcome: Outcome) -> Value:
    """Of streams that have an ID to be taken up by."""
    if not outcome.told["named"]:
        return "failed: no Stream-Id in the responses"
    return per_piece(outcome)


def delivered(value: Callable[[Outcome], Value]) -> Callable[[Outcome], Value]:
    """Only if one stream gave every client each piece once, in order."""

    def judge(outcome: Outcome) -> Value:
        said = outcome.told
        if said["upstreams"] > 1:
            return f"failed: {said['upstreams']:,.0f} upstream streams, not one"
        if faults := order_marks(said):
            return f"failed: {', '.join(faults)}"
        return value(outcome)

    return judge


def per_kept_stream(outcome: Outcome) -> Value:
    """Only if all of them could be taken up again, with all their events."""
    said = outcome.told
    if faults := order_marks(said):
        return f"failed: {', '.join(faults)}"
    return outcome.memory / said["named"] / 1024
