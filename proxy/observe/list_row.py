"""One exchange as the inspector's list shows it: counters that exist anyway.

Pure. Times are seconds; `now` is on the clock of the timelines, `epoch` is
what to add to it for the seconds of the calendar.
"""

from __future__ import annotations

from proxy.observe.redaction import masked_target
from proxy.timeline import Ending, Phase, Timeline, Visit

Row = dict[str, object]

PHASES = {
    Phase.ROUTING: "connecting",
    Phase.CONNECTING: "connecting",
    Phase.WAITING: "waiting",
    Phase.RELAYING: "relaying",
    Phase.TUNNEL: "tunnel",
    Phase.OVER: "over",
}
NDJSON = (b"ndjson", b"jsonl", b"x-jsonlines", b"stream+json", b"json-seq")


def identity(worker: int, timeline: Timeline) -> str:
    """How an exchange is called in the inspector, across all workers."""
    return f"{worker}-{timeline.number}"


def kind(timeline: Timeline) -> str:
    """What the response is, told from its head."""
    if timeline.tunnel:
        return "websocket"
    value = timeline.call.content_type
    if value is None:
        return "other"
    media_type = value.partition(b";")[0].strip().lower()
    if media_type == b"text/event-stream":
        return "event-stream"
    if media_type.startswith(b"application/"):
        name = media_type.removeprefix(b"application/")
        if name.removeprefix(b"x-") in NDJSON or name in NDJSON:
            return "ndjson"
        if name == b"json" or name.endswith(b"+json"):
            return "json"
    return "other"


def signature(timeline: Timeline, phase: Phase) -> tuple[object, ...]:
    """Changes whenever the row does, but for what only time changes."""
    return (
        phase,
        timeline.status,
        timeline.call.pieces,
        timeline.heartbeats,
        timeline.bytes_sent,
        timeline.bytes_received,
        timeline.held_since,
        timeline.longest_hold,
        timeline.call.upstream,
        timeline.call.family,
        timeline.call.finish,
        timeline.ended,
    )


def row(
    timeline: Timeline,
    phase: Phase,
    worker: int,
    now: float,
    epoch: float,
    *,
    advice: str = "",
    recorded: bool = False,
) -> Row:
    """All that the list shows of one exchange.

    `advice`: on its failure. `recorded`: is anything kept of what passed?
    """
    started = timeline.started
    first = timeline.first_byte_seconds
    over = timeline.ended is not None
    held, finish = timeline.held_since, timeline.call.finish
    goes_on = finish is not None and not over  # without its client
    return {
        "id": identity(worker, timeline),
        "worker": worker,
        "request_id": text(timeline.request_id) or None,
        "client": text(timeline.client),
        "peer": text(timeline.peer),
        "scheme": text(timeline.scheme),
        "host": None if timeline.host is None else text(timeline.host),
        "route": timeline.route,
        "upstream": timeline.call.upstream,
        "method": text(timeline.method),
        "target": masked_target(text(timeline.target)),
        "status": timeline.status,
        "phase": "finishing" if goes_on else PHASES[Phase.OVER if over else phase],
        "kind": kind(timeline),
        "started": round(started + epoch, 3),
        "age": round((timeline.ended or now) - started, 6),
        "first_byte": None if first is None else round(first, 6),
        "duration": round(timeline.duration, 6) if over else None,
        "pieces": timeline.call.pieces,
        "heartbeats": timeline.heartbeats,
        "bytes": timeline.sent_bytes,
        "bytes_received": timeline.bytes_received,
        "longest_gap": round(timeline.call.longest_gap, 6),
        "longest_hold": round(timeline.longest_hold, 6),
        "holding": None if held is None else round(now - held, 6),
        "last_piece": (
            None
            if timeline.call.last_piece is None
            else round(timeline.call.last_piece - started, 6)
        ),
        "coded": list(timeline.call.coded),
        "retries": timeline.call.retries,
        "unread": timeline.unread_bytes,
        "family": timeline.call.family,
        "verdict": timeline.call.verdict,
        "answer": answer_row(timeline),
        "ending": timeline.ending.value if over else None,
        "ended_by": ended_by(timeline),
        "error": reason(timeline),
        "error_type": error_type(timeline),
        "advice": advice or None,
        "recorded": recorded,
        "stream": part_of_stream(timeline.visit),
    }


def answer_row(timeline: Timeline) -> Row | None:
    """What the stream has told of a model's answer so far."""
    answer = timeline.call.answer
    if answer is None:
        return None
    first, speed = timeline.first_token_seconds, answer.tokens_per_second
    return {
        "model": answer.model or None,
        "first_token": None if first is None else round(first, 6),
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "tokens_per_second": None if speed is None else round(speed, 3),
    }


def reason(timeline: Timeline) -> str | None:
    """What went wrong, in words. That a client left is no error."""
    return str(timeline.error) if has_failed(timeline) else None


def has_failed(timeline: Timeline) -> bool:
    """Has it ended by an error? That a client left is none."""
    return timeline.error is not None and timeline.ending is not Ending.CLIENT_LEFT


def error_type(timeline: Timeline) -> str | None:
    """What went wrong, as programs know it (RFC 9209)."""
    error = timeline.error
    return error.type if error is not None and has_failed(timeline) else None


def ended_by(timeline: Timeline) -> str | None:
    """How it ended and why, in full; None: it goes on."""
    if timeline.ended is None:
        return None
    told, error = timeline.ending.value, timeline.error
    return told if error is None else f"{told}: {error}"


def part_of_stream(visit: Visit | None) -> Row | None:
    """What the client has, or had, of a stream that is kept or shared."""
    if visit is None:
        return None
    return {
        "id": visit.stream,
        "kept": visit.kept,
        "way": visit.way,
        "from": visit.begins,
    }


def text(data: bytes) -> str:
    """Bytes of a peer as text."""
    return data.decode("ascii", "backslashreplace")
