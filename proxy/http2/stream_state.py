"""One stream as the session sees it, and what it tells those who own it."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ProxyError
from proxy.http1.framing import content_length
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.http2.faults import StreamFault
from proxy.http2.peer_settings import STREAM_WINDOW
from proxy.http2.priority import Priority

ANY_LENGTH = 2**62  # of a body that has no Content-Length; this never comes to an end
LONGEST = 10**18  # of one that has
CLOSED = -1  # as a window: not even an empty frame fits


class StreamOwner(Protocol):
    """Whoever serves a request.

    Nothing is told of a stream after `reset_received`, `failed`, its owner's own reset,
    or the end of both sides.
    """

    send_window: int  # bytes that the peer takes of this stream; may be negative

    def data_received(self, data: bytes, size: int) -> None:
        """Content, never empty; `size` is owed to `Session.consumed`."""

    def request_ended(self, trailers: Fields) -> None:
        """The request is complete."""

    def reset_received(self, code: int) -> None:
        """The peer has reset the stream."""

    def failed(self, fault: StreamFault) -> None:
        """The peer broke the rules: the stream has been reset by us."""

    def window_opened(self) -> None:
        """`send_window` has grown."""

    def reprioritised(self, priority: Priority) -> None:
        """The client thinks otherwise of how urgent the response is."""


class SessionOwner(Protocol):
    """Whoever has the socket."""

    def write(self, data: bytes) -> None:
        """Send frames of the session itself, in this order with all others."""

    def request_received(
        self,
        number: int,
        head: RequestHead,
        protocol: bytes,
        priority: Priority,
        *,
        complete: bool,
    ) -> StreamOwner | None:
        """Serve a request; None: it has been answered, or reset."""

    def request_refused(
        self, number: int, error: ProxyError, head: RequestHead | None
    ) -> StreamOwner | None:
        """Answer a request by the status of `error`."""

    def request_malformed(self, number: int, fault: StreamFault) -> None:
        """A request was reset before it was one."""

    def window_opened(self) -> None:
        """`Session.send_window` has grown."""

    def ping_acked(self, data: bytes) -> None:
        """The answer to a ping of ours."""

    def going_away(self, code: int, debug: bytes) -> None:
        """The peer's GOAWAY."""


class StreamState:
    """A stream that is not closed (RFC 9113 §5.1)."""

    __slots__ = (
        "consumed",
        "expected",
        "local_open",
        "number",
        "owner",
        "remote_open",
        "share",
        "waiting",
        "window",
    )

    def __init__(self, number: int, expected: int, *, remote_open: bool) -> None:
        self.number = number
        self.owner: StreamOwner | None = None
        self.remote_open = remote_open
        self.local_open = True
        # Bytes that the peer may still send: by flow control, by Content-Length.
        self.window = STREAM_WINDOW if remote_open else CLOSED
        self.share = STREAM_WINDOW  # what the window is opened to
        self.expected = expected
        self.waiting = 0  # bytes that the owner has not passed on
        self.consumed = 0  # bytes that the peer has not been told of as passed on

    @property
    def falls_short(self) -> bool:
        """Would the end be too early now?"""
        return 0 < self.expected < LONGEST


def expected_length(head: RequestHead | None) -> int:
    """How many bytes of DATA must come."""
    length = None if head is None else head.index.get(b"content-length")
    return ANY_LENGTH if length is None else content_length(length)
