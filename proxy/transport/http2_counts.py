"""How much HTTP/2 this process has spoken, for its metrics."""

from __future__ import annotations

from collections import Counter


class Http2Counts:
    """Sums over all connections, of before a reload too."""

    __slots__ = ("ended", "requests", "resets")

    def __init__(self) -> None:
        self.requests = 0  # that began
        self.resets = 0  # by clients, of requests that were served
        self.ended: Counter[str] = Counter()  # connections that we ended, by error code


HTTP2_COUNTS = Http2Counts()
