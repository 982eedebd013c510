"""The access log: one line per exchange, at its end.

Text for people, JSON for machines; both from the same `record`. Field values
are never logged, so neither is a credential that a route adds.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from proxy.config.model import LogFormat
from proxy.timeline import Clock, Ending, Timeline, wall_clock

Record = dict[str, object]


def record(timeline: Timeline, ended_at: float) -> Record:
    """What the line says. Times are seconds, sizes bytes of body.

    `ended_at` is wall-clock time.
    """
    started = timeline.started
    first_byte = timeline.first_byte or timeline.head_received
    told: Record = {
        "time": datetime.fromtimestamp(ended_at).astimezone().isoformat("T", "seconds"),
        "client": timeline.client.decode("ascii"),
        "route": timeline.route,
        "method": timeline.method.decode("ascii", "backslashreplace"),
        "target": timeline.target.decode("ascii", "backslashreplace"),
        "version": f"HTTP/1.{timeline.minor}",
        "status": timeline.status,
        "bytes_received": timeline.bytes_received,
        "bytes_sent": timeline.bytes_sent,
        "pieces": timeline.pieces,
        "first_byte_seconds": (
            None if first_byte is None else round(first_byte - started, 6)
        ),
        "longest_gap_seconds": round(timeline.longest_gap, 6),
        "longest_hold_seconds": round(timeline.longest_hold, 6),
        "duration_seconds": round(timeline.duration, 6),
        "ending": timeline.ending.value,
    }
    if timeline.error is not None and timeline.ending is not Ending.CLIENT_LEFT:
        told["error"] = timeline.error.type
        told["reason"] = str(timeline.error)
    return told


def as_json(told: Record) -> str:
    """One object on one line."""
    return json.dumps(told, ensure_ascii=False)


def as_text(told: Record) -> str:
    """One line for a person."""
    first = told["first_byte_seconds"]
    request_line = f"{told['method']} {told['target']} {told['version']}"
    if not told["method"]:  # what came was no request
        request_line = "-"
    # A quote in the target shall not end the request line for a reader.
    request_line = request_line.replace('"', r"\x22")
    line = (
        f"{told['time']} {told['client']} {told['route'] or '-'} "
        f'"{request_line}" {told["status"] or "-"} {told["bytes_sent"]} B '
        f"{told['pieces']} pieces "
        f"first byte {'-' if first is None else seconds(first)} "
        f"gap {seconds(told['longest_gap_seconds'])} "
        f"hold {seconds(told['longest_hold_seconds'])} "
        f"{seconds(told['duration_seconds'])} {told['ending']}"
    )
    return f"{line}: {told['reason']}" if "reason" in told else line


def seconds(value: object) -> str:
    """A duration at the scale a person reads: µs, ms or s."""
    assert isinstance(value, float)
    if value < 0.001:
        return f"{value * 1e6:.0f}µs"
    if value < 1:
        return f"{value * 1e3:.1f}ms"
    return f"{value:.2f}s"


class AccessLog:
    """Writes lines; called with each ended exchange."""

    def __init__(
        self, stream: TextIO, log_format: LogFormat, clock: Clock = wall_clock
    ) -> None:
        self.stream = stream
        self.clock = clock
        self.render: Callable[[Record], str] = (
            as_json if log_format == "json" else as_text
        )

    def ended(self, timeline: Timeline) -> None:
        """Write the line of one exchange. A log that is gone stops no stream."""
        line = self.render(record(timeline, self.clock()))
        with contextlib.suppress(OSError):  # a closed pipe or terminal, a full disk
            self.stream.write(line + "\n")
            self.stream.flush()
