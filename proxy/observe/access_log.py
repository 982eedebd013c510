"""The access log: one line per exchange, at its end.

Text for people, JSON for machines. No field value is logged but those that say where
a request came from and what it asked for (Host, X-Request-Id, of trusted proxies
Forwarded and X-Forwarded-*) and, for machines, User-Agent; so no credential is that a
route adds.
"""

from __future__ import annotations

import json

from proxy.config.model import LogFormat
from proxy.errors import ProxyError
from proxy.http1.head import RequestHead
from proxy.line_writer import LineStream, one_line
from proxy.quantities import compact_seconds
from proxy.timeline import (
    FIRST,
    Clock,
    Ending,
    Finish,
    ModelAnswer,
    Timeline,
    Visit,
    local_time,
    wall_clock,
)

Record = dict[str, object]

CLIENT_LEFT = Ending.CLIENT_LEFT
SHOWN_BYTES = 256  # of a User-Agent or a Host, at most
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
        "time": local_time(ended_at),
        "client": timeline.client.decode("ascii"),
        "peer": timeline.peer.decode("ascii"),
        "scheme": timeline.scheme.decode("ascii"),
        "host": None if timeline.host is None else beginning(timeline.host),
        "route": timeline.route,
        "upstream": timeline.call.upstream,
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
    if timeline.request_id:
        told["request_id"] = timeline.request_id.decode("ascii")
    agent = user_agent(timeline)
    if agent is not None:
        told["user_agent"] = agent
    call = timeline.call
    if call.family is not None:
        told["family"] = call.family
        told["verdict"] = call.verdict
    if call.answer is not None:
        told["answer"] = answer_to_dict(timeline, call.answer)
    if timeline.visit is not None:
        told["stream"] = visit_to_dict(timeline, timeline.visit)
    if call.finish is not None:
        told["finish"] = finish_to_dict(timeline, call.finish)
    error = fault(timeline)
    if error is not None:
        told["error"] = error.type
        told["reason"] = str(error)
    return told


def user_agent(timeline: Timeline) -> str | None:
    """What the client says of itself; of a long text the beginning."""
    heads = timeline.heads
    head = heads[0] if isinstance(heads, tuple) else None
    if not isinstance(head, RequestHead):
        return None
    value = head.get(b"user-agent")
    return None if value is None else beginning(value)


def beginning(value: bytes) -> str:
    """A field value as text; of a long one the beginning."""
    return text(value if len(value) <= SHOWN_BYTES else value[:SHOWN_BYTES] + b"...")


def visit_to_dict(timeline: Timeline, visit: Visit) -> Record:
    """What the client had of a stream that is kept or shared."""
    return {
        "id": visit.stream,
        "kept": visit.kept,
        "way": visit.way,
        "from": visit.begins,
        "state": visit.state or state_of(timeline),
    }


def answer_to_dict(timeline: Timeline, answer: ModelAnswer) -> Record:
    """What a stream has told of a model's answer, as far as it has."""
    first, speed = timeline.first_token_seconds, answer.tokens_per_second
    told: Record = {
        "model": answer.model or None,
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "first_token_seconds": None if first is None else round(first, 6),
        "tokens_per_second": None if speed is None else round(speed, 3),
    }
    return {name: value for name, value in told.items() if value is not None}


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
        line = text(b"%b %b" % (timeline.method, timeline.target))
        # A quote in the target shall not end the request line for a reader.
        line = line.replace('"', r"\x22") + f" HTTP/{timeline.version}"
    else:  # what came was no request
        line = "-"
    first = timeline.first_byte_seconds
    line = (
        f"{local_time(ended_at)} {timeline.client.decode('ascii')} "
        f'{asked_for(timeline)} {way(timeline)} "{line}" {timeline.status or "-"} '
        f"{timeline.bytes_sent} B {timeline.call.pieces} pieces "
        f"first byte {'-' if first is None else compact_seconds(first)} "
        f"gap {compact_seconds(timeline.call.longest_gap)} "
        f"hold {compact_seconds(timeline.longest_hold)} "
        f"{compact_seconds(timeline.duration)} {timeline.ending._value_}"
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
    if error is None:
        return line
    if timeline.request_id:
        line = f"{line}, request {timeline.request_id.decode('ascii')}"
    return f"{line}: {one_line(str(error))}"


def asked_for(timeline: Timeline) -> str:
    """The scheme and host that the client asked, as far as it named one."""
    if timeline.host is None:
        return "-"
    return f"{timeline.scheme.decode('ascii')}://{beginning(timeline.host)}"


def way(timeline: Timeline) -> str:
    """The route and the target that was chosen, as `serve --route` has them."""
    if timeline.call.upstream is None:
        return timeline.route or "-"
    return f"{timeline.route or '-'}={timeline.call.upstream}"


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
