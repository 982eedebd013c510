"""Recordings made by hand, and those of real products."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from proxy.tools.doctor.record import Arrival, Ending, ProbeRecording, load
from proxy.tools.doctor.result import Result, judge_hops

TRACES = Path(__file__).parents[2] / "traces"
MARK = re.compile(rb'"n": ?\d+, ?"of": ?\d+, ?"sent_ms": ?[\d.]+')
EVENTS = (("Content-Type", "text/event-stream"),)


def trace(name: str) -> ProbeRecording:
    """The recording of a real product."""
    [recording] = load((TRACES / f"{name}.json").read_text("utf-8"))
    return recording


def unmarked(recording: ProbeRecording) -> ProbeRecording:
    """The same as a stream of which nobody knows when its events were sent."""
    arrivals = []
    kept = b""
    content = MARK.sub(lambda found: b'"x": "' + b"x" * (len(found[0]) - 7) + b'"',
                       recording.content)  # fmt: skip
    for each in recording.arrivals:
        kept, content = content[: len(each.data)], content[len(each.data) :]
        arrivals.append(replace(each, data=kept))
    return replace(recording, arrivals=tuple(arrivals))


def event(number: int, size: int = 0) -> bytes:
    """An event without a mark."""
    return f"data: number {number}{' ' * size}\n\n".encode()


def sent(number: int, of: int, at: float) -> bytes:
    """An event as the test origin marks it."""
    text = f'{{"n": {number}, "of": {of}, "sent_ms": {at * 1000:.1f}}}'
    return f"data: {text}\n\n".encode()


def recorded(
    *arrivals: tuple[float, bytes],
    fields: tuple[tuple[str, str], ...] = EVENTS,
    head: float = 0.001,
    ended: float | None = None,
    ending: Ending = "complete",
    fault: str = "",
    status: int = 200,
) -> ProbeRecording:
    """A recording of these arrivals."""
    last = arrivals[-1][0] if arrivals else head
    return ProbeRecording(
        url="http://127.0.0.1:8080/events",
        connected=0.0005,
        head=min(head, arrivals[0][0]) if arrivals else head,
        status=status,
        version="HTTP/1.1",
        fields=fields,
        arrivals=tuple(Arrival(at, len(data), data) for at, data in arrivals),
        ended=last if ended is None else ended,
        ending=ending,
        fault=fault,
    )


# -- streams of one event at a time, and chains ---------------------------------------


def at(times: Sequence[float], make: Callable[[int], bytes] = event) -> ProbeRecording:
    """One event at each time."""
    return recorded(*((time, make(number)) for number, time in enumerate(times)))


def every(seconds: float, count: int = 10, later: float = 0.0) -> list[float]:
    return [number * seconds + later for number in range(count)]


def own(name: str) -> Callable[[int], bytes]:
    """Texts of one answer."""
    return lambda number: f"data: {name} {number}\n\n".encode()


def with_id(name: str) -> Callable[[int], bytes]:
    return lambda number: f"id: {number}\n".encode() + own(name)(number)


def long_ones(name: str) -> Callable[[int], bytes]:
    """Texts that begin alike, for more than is shown of them."""
    return lambda number: b"data: " + b"x" * 80 + own(name)(number)[6:]


def chain(here: ProbeRecording, behind: ProbeRecording) -> Result:
    return judge_hops(
        [replace(here, url="http://hop/"), replace(behind, url="http://back/")]
    )


def all_at(
    when: float, make: Callable[[int], bytes], count: int = 10
) -> ProbeRecording:
    return recorded((when, b"".join(map(make, range(count)))))
