"""Records as a test writes them, and a clock that stands still between two steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count

from proxy.record.format import (
    ExchangeRecord,
    Framing,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    RequestComplete,
    UpstreamEnd,
)

HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Accept", "recorded="),
]
Item = RecordedHead | RecordedPiece | RequestComplete


def head(
    at: int = 0,
    framing: Framing = "chunked",
    status: int = 200,
    fields: Sequence[tuple[str, str]] = (),
) -> RecordedHead:
    """A response head; `Transfer-Encoding: chunked` is among its fields."""
    given = [("Transfer-Encoding", "chunked")] if framing == "chunked" else []
    reason = {100: "Continue", 101: "Switching Protocols"}.get(status, "OK")
    return RecordedHead(at, status, reason, "1.1", [*given, *fields], framing)


def tunnel(at: int = 0) -> RecordedHead:
    """The agreement to a WebSocket."""
    return head(at, "tunnel", 101, HANDSHAKE)


def sent(at: int, data: bytes) -> RecordedPiece:
    """A piece of the upstream."""
    return RecordedPiece(at, "upstream", data)


def got(at: int, data: bytes) -> RecordedPiece:
    """A piece of the client."""
    return RecordedPiece(at, "client", data)


def record(
    *items: Item,
    end: UpstreamEnd | None = "complete",
    at: int | None = None,
    method: str = "GET",
    target: str = "/events",
    upstream_target: str = "",
    trailers: Sequence[tuple[str, str]] = (),
) -> ExchangeRecord:
    """A record; it ends with its last item, or `at`."""
    if at is None:
        at = items[-1].at if items else 0
    asked = RecordedRequest(method, target, "1.1", "http", [("Host", "a")])
    return ExchangeRecord(
        "2026-11-29T12:00:00.000000Z",
        "unbuffered test",
        "/",
        "http://localhost:1",
        asked,
        list(items),
        None if end is None else RecordedEnd(at, end, list(trailers)),
        RecordedRequest(method, upstream_target, "1.1", "http", [])
        if upstream_target
        else None,
    )


class Later:
    """A call that is to come."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class StepTimer:
    """Time passes when the test says so, and calls come when they are due."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.numbers = count()
        self.calls: list[tuple[float, int, Later]] = []

    def time(self) -> float:
        return self.now

    def call_at(
        self, when: float, callback: Callable[[], object], *, exact: bool
    ) -> Later:
        later = Later(callback)
        heappush(self.calls, (when, next(self.numbers), later))
        return later

    @property
    def next_due(self) -> float | None:
        """When the next call comes; in seconds since the start."""
        while self.calls and self.calls[0][2].callback is None:
            heappop(self.calls)
        return round(self.calls[0][0] - 1000.0, 9) if self.calls else None

    def advance_to(self, seconds: float) -> None:
        """Let it be so many seconds after the start."""
        until = 1000.0 + seconds
        while self.calls and self.calls[0][0] <= until + 1e-9:
            when, _, later = heappop(self.calls)
            self.now = max(self.now, when)
            if later.callback is not None:
                later.callback()
        self.now = max(self.now, until)

    def late(self, seconds: float) -> None:
        """It is so many seconds after the start; nobody was called on the way."""
        self.now = 1000.0 + seconds
        self.advance_to(seconds)
