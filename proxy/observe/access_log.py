"""The access log: one line per exchange, at its end.

Text for people, JSON for machines. Field values are never logged, so neither
is a credential that a route adds.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache

from proxy.config.model import LogFormat
from proxy.errors import ProxyError
from proxy.line_writer import LineStream
from proxy.quantities import compact_seconds
from proxy.timeline import FIRST, Clock, Ending, Finish, Timeline, Visit, wall_clock

Record = dict[str, object]

CLIENT_LEFT = Ending.CLIENT_LEFT
# How a client asked for a stream that there was.
WAYS = {
    "event_id": "resumed by event id",
    "upstream_event_id": "resumed by the upstream's event id",
    "key": "resumed by key",
    "idempotency_key": "resumed by Idempotency-Key",
    "stream_id": "resumed by Stream-Id",
    "share": "joined",
}


def to_dict(timeline: Timeline, ended_at: float) -> Record:
    """What the line says. Times are seconds, sizes bytes of body.

    `ended_at` is wall-clock time.
    """
    first_byte = timeline.first_byte_seconds
    told: Record = {
        "time": local_time(int(ended_at)),
        "client": timeline.client.decode("ascii"),
        "route": timeline.route,
        "method": text(timeline.method),
        "target": text(timeline.target),
        "version": f"HTTP/{timeline.version}",
        "status": timeline.status,
        "bytes_received": timeline.bytes_received,
        "bytes_sent": timeline.bytes_sent,
        "pieces": timeline.call.pieces,
        "first_byte_seconds": None if first_byte is None else round(first_byte, 6),
        "longest_gap_seconds": round(timeline.call.longest_gap, 6),
        "longest_hold_seconds": round(timeline.longest_hold, 6),
        "duration_seconds": round(timeline.duration, 6),
        "ending": timeline.ending.value,
    }
    call = timeline.call
    if call.family is not None:
        told["family"] = call.family
        told["verdict"] = call.verdict
    if timeline.visit is not None:
        told["stream"] = visit_to_dict(timeline, timeline.visit)
    if call.finish is not None:
        told["finish"] = finish_to_dict(timeline, call.finish)
    error = fault(timeline)
    if error is not None:
        told["error"] = error.type
        told["reason"] = str(error)
    return told


def visit_to_dict(timeline: Timeline, visit: Visit) -> Record:
    """What the client had of a stream that is kept or shared."""
    return {
        "id": visit.stream,
        "kept": visit.kept,
        "way": visit.way,
        "from": visit.begins,
        "state": visit.state or state_of(timeline),
    }


def state_of(timeline: Timeline) -> str:
    """How a stream of another worker stands, as far as it is known here."""
    if timeline.ending is CLIENT_LEFT:
        return "running"
    if timeline.ending is not Ending.COMPLETE:
        return "error"
    return timeline.call.verdict or "complete"


def visit_in_words(visit: Visit) -> str:
    """The same for a person."""
    if visit.way == FIRST:
        return f"stream {visit.stream} {'kept' if visit.kept else 'shared'}"
    line = f"stream {visit.stream} {WAYS.get(visit.way, visit.way)}"
    return f"{line} from byte {visit.begins}" if visit.begins else line


def finish_to_dict(timeline: Timeline, finish: Finish) -> Record:
    """What the upstream sent after its client had left, which nobody read."""
    told: Record = {
        "ending": finish.ending.value,
        "seconds": round((timeline.ended or finish.left) - finish.left, 6),
        "unread_bytes": finish.unread_bytes,
    }
    if finish.error is not None:
        told["error"] = finish.error.type
        told["reason"] = str(finish.error)
    return told


@lru_cache(maxsize=1)  # many lines have the same second
def local_time(second: int) -> str:
    """A second of the wall clock with its offset (RFC 3339)."""
    return datetime.fromtimestamp(second).astimezone().isoformat("T", "seconds")


def text(data: bytes) -> str:
    """Bytes of a request line, as text."""
    return data.decode("ascii", "backslashreplace")


def fault(timeline: Timeline) -> ProxyError | None:
    """What is worth a reason; that a client left says it all."""
    return None if timeline.ending is CLIENT_LEFT else timeline.error


def render_json(timeline: Timeline, ended_at: float) -> str:
    """One object on one line, in ASCII: it is JSON in every encoding."""
    return json.dumps(to_dict(timeline, ended_at))


def render_text(timeline: Timeline, ended_at: float) -> str:
    """One line for a person."""
    if timeline.method:
        line = f"{text(timeline.method)} {text(timeline.target)}"
        # A quote in the target shall not end the request line for a reader.
        line = line.replace('"', r"\x22") + f" HTTP/{timeline.version}"
    else:  # what came was no request
        line = "-"
    first = timeline.first_byte_seconds
    line = (
        f"{local_time(int(ended_at))} {timeline.client.decode('ascii')} "
        f'{timeline.route or "-"} "{line}" {timeline.status or "-"} '
        f"{timeline.bytes_sent} B {timeline.call.pieces} pieces "
        f"first byte {'-' if first is None else compact_seconds(first)} "
        f"gap {compact_seconds(timeline.call.longest_gap)} "
        f"hold {compact_seconds(timeline.longest_hold)} "
        f"{compact_seconds(timeline.duration)} {timeline.ending.value}"
    )
    finish = timeline.call.finish
    if finish is not None:
        after = compact_seconds((timeline.ended or finish.left) - finish.left)
        ending = finish.ending.value.removeprefix("upstream ")
        line = f"{line}, upstream {ending} {after} later, "
        line += f"{finish.unread_bytes} B unread"
    if timeline.visit is not None:
        line = f"{line}, {visit_in_words(timeline.visit)}"
    if timeline.call.verdict is not None:
        line = f"{line}, {timeline.call.family} {timeline.call.verdict}"
    error = fault(timeline) or (finish.error if finish is not None else None)
    return line if error is None else f"{line}: {error}"


class AccessLog:
    """Writes lines; called with each ended exchange."""

    def __init__(
        self, stream: LineStream, log_format: LogFormat, clock: Clock = wall_clock
    ) -> None:
        self.stream = stream
        self.clock = clock
        self.render = render_json if log_format == "json" else render_text

    def ended(self, timeline: Timeline) -> None:
        """Write the line of one exchange. A log that is gone stops no stream."""
        line = self.render(timeline, self.clock())
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # a closed pipe or file, a full disk
            pass
