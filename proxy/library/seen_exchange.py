"""What the host may know of an exchange: a copy that does not change."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.observe.list_row import kind, reason
from proxy.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its response, as they are at the moment. Times are seconds.

    Attributes:
        id: counts up from 1 within a proxy, in the order in which they were first seen.
        request_id: by which the log and the upstream know the request. Empty: it has
            none ([server] request_id).
        method: of the request. Empty if what came was not an HTTP request.
        target: of the request: path and query as the client sent them.
        version: of HTTP, as the client speaks it: "1.1" or "2.0".
        client: its IP address.
        route: the prefix of the route. None: no route matches.
        upstream: the target that was chosen. None: none yet.
        status: as sent to the client. 0: nothing has been sent.
        running: has it not ended yet?
        ending: "complete", "client left", "upstream broke", "timed out", "refused",
            "shut down", "aged out" or "internal error". None while it runs.
        error: what went wrong, in words. None: nothing, or the client left.
        error_type: the type of the error (docs/errors.md), such as
            "connection_refused".
        kind: "event-stream", "ndjson", "json", "websocket" or "other".
        family: the protocol family of the stream (docs/families.md), if it has one.
        verdict: how the stream ended by its own events, such as "complete" or "error".
        bytes_received: of the request body.
        bytes_sent: of the response body, without framing.
        pieces: of the response body, as they came from the upstream.
        heartbeats: that the proxy has added to the stream.
        retries: attempts to reach an upstream that came to nothing.
        started: since the epoch.
        duration: until its end, or until now.
        first_byte: until the response body began, or its head where there is no body.
        longest_gap: between two pieces of the upstream.
        longest_hold: from the read of a piece to its write.
    """

    id: int
    request_id: str
    method: str
    target: str
    version: str
    client: str
    route: str | None
    upstream: str | None
    status: int
    running: bool
    ending: str | None
    error: str | None
    error_type: str | None
    kind: str
    family: str | None
    verdict: str | None
    bytes_received: int
    bytes_sent: int
    pieces: int
    heartbeats: int
    retries: int
    started: float
    duration: float
    first_byte: float | None
    longest_gap: float
    longest_hold: float


def seen(timeline: Timeline, number: int, now: float, epoch: float) -> Exchange:
    """An account as the host sees it. `epoch`: what to add to the clock's seconds."""
    call, ended = timeline.call, timeline.ended
    return Exchange(
        id=number,
        request_id=text(timeline.request_id),
        method=text(timeline.method),
        target=text(timeline.target),
        version=timeline.version,
        client=text(timeline.client),
        route=timeline.route,
        upstream=call.upstream,
        status=timeline.status,
        running=ended is None,
        ending=None if ended is None else timeline.ending.value,
        error=reason(timeline),
        error_type=None if timeline.error is None else timeline.error.type,
        kind=kind(timeline),
        family=call.family,
        verdict=call.verdict,
        bytes_received=timeline.bytes_received,
        bytes_sent=timeline.sent_bytes,
        pieces=call.pieces,
        heartbeats=timeline.heartbeats,
        retries=call.retries,
        started=timeline.started + epoch,
        duration=(now if ended is None else ended) - timeline.started,
        first_byte=timeline.first_byte_seconds,
        longest_gap=call.longest_gap,
        longest_hold=timeline.longest_hold,
    )


def text(data: bytes) -> str:
    """Bytes of a peer as text; what is not ASCII is escaped."""
    return data.decode("ascii", "backslashreplace")
