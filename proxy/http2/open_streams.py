"""The streams that are not closed: their states, their ends, and the windows.

RFC 9113 §5.1, §5.2, §6.1 and §6.9, as far as they concern what a client sends.
"""

from __future__ import annotations

from proxy.http1.grammar import Fields
from proxy.http2.faults import ConnectionFault, StreamFault
from proxy.http2.flood_guard import FloodGuard
from proxy.http2.frame_reader import FrameReader
from proxy.http2.frames import (
    DATA,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    kind_name,
    reset_frame,
    window_update,
)
from proxy.http2.limits import Http2Limits
from proxy.http2.peer_settings import STREAM_WINDOW
from proxy.http2.stream_state import (
    CLOSED,
    SessionOwner,
    StreamOwner,
    StreamState,
)
from proxy.timeline import Clock

# Bytes that a client may send at once on all its streams together. Those that wait for
# their upstreams do not count: no stream holds up another.
CONNECTION_WINDOW = 4 * 1024 * 1024
# The window of a stream that is passed on as it comes grows to this: with a round trip
# of 50 ms it allows 20 MB/s. All that streams may have beyond STREAM_WINDOW is SPARE: a
# connection holds no more than SPARE, and STREAM_WINDOW for each of its streams.
LARGE_WINDOW = 1024 * 1024
SPARE = 4 * 1024 * 1024
# Streams that were reset by us, and whose frames may still be on their way.
REMEMBERED_RESETS = 1000


class OpenStreams(FrameReader):
    """What a session knows of its streams."""

    def __init__(self, owner: SessionOwner, limits: Http2Limits, clock: Clock) -> None:
        super().__init__()
        self.owner = owner
        self.limits = limits
        self.guard = FloodGuard(limits, clock)
        self.streams: dict[int, StreamOwner] = {}
        self.states: dict[int, StreamState] = {}
        self.resets: dict[int, None] = {}
        self.last = 0  # that was accepted
        self.highest = 0  # that was seen
        self.spare = SPARE  # by which windows may yet grow

    # -- for the owner of a stream

    def is_open(self, number: int) -> bool:
        """Is either side of the stream open?"""
        return number in self.states

    def request_complete(self, number: int) -> bool:
        """Has the client sent all of its request?"""
        state = self.states.get(number)
        return state is None or not state.remote_open

    def consumed(self, number: int, size: int) -> None:
        """So many bytes of a stream were passed on."""
        state = self.states.get(number)
        if state is not None:
            state.waiting -= size
            self.give_back(state, size)

    def ended(self, number: int) -> None:
        """Our END_STREAM goes out."""
        state = self.states.get(number)
        if state is not None:
            state.local_open = False
            if not state.remote_open:
                self.forget(state)

    def reset(self, number: int, code: int) -> None:
        """End a stream by RST_STREAM; what is on its way of it is ignored."""
        state = self.states.get(number)
        if state is not None:
            self.forget(state)
            self.refuse(number, code, remote_open=state.remote_open)

    # -- ends

    def forget(self, state: StreamState) -> None:
        """The stream is closed."""
        del self.states[state.number]
        self.streams.pop(state.number, None)
        state.owner = None
        state.window = CLOSED
        if self.target is state:
            self.target = None
            self.parts = []
        self.spare += state.share - STREAM_WINDOW

    def refuse(self, number: int, code: int, *, remote_open: bool) -> None:
        """Send RST_STREAM, and be ready for what the peer has already sent."""
        self.owner.write(reset_frame(number, code))
        if remote_open:
            self.ignore(number)

    def ignore(self, number: int) -> None:
        """Frames of this stream are no fault from now on."""
        self.resets[number] = None
        if len(self.resets) > REMEMBERED_RESETS:
            del self.resets[next(iter(self.resets))]

    def fail(self, state: StreamState, code: int, reason: str) -> None:
        """The peer broke the rules of one stream: reset it, and say so.

        Raises:
            ConnectionFault: it does so too often (CVE-2025-8671).
        """
        self.deliver()
        owner, number = state.owner, state.number
        if owner is not None:  # else its owner has just reset it
            self.guard.stream_reset()
            self.reset(number, code)
            owner.failed(StreamFault(code, f"stream {number}: {reason}"))

    def check_known(self, number: int, kind: int) -> None:
        """A frame came of a stream that is not open; has it ever been?

        Raises:
            ConnectionFault: it has not begun yet (RFC 9113 §5.1, "idle").
        """
        if number == 0 or number > self.highest or number % 2 == 0:
            place = f"on idle stream {number}" if number else "on stream 0"
            raise ConnectionFault(PROTOCOL_ERROR, f"{kind_name(kind)} {place}")

    # -- DATA

    def stream(self, number: int) -> StreamState | None:
        return self.states.get(number)

    def data_begun(self, number: int, flags: int, size: int, content: int) -> None:
        """Charge the windows, padding included (RFC 9113 §6.9.1)."""
        self.window -= size
        if self.window < 0:
            raise ConnectionFault(
                FLOW_CONTROL_ERROR, "DATA beyond the window of the connection"
            )
        state = self.target
        if state is None or size > state.window or content > state.expected:
            self.unwelcome_data(number, flags, size)
            return
        state.window -= size
        state.expected -= content
        if flags & END_STREAM and state.falls_short:
            self.fail(state, PROTOCOL_ERROR, missing(state))
            return
        if content != size:
            self.give_back(state, size - content)
            self.reopen()
        if content == 0 and not flags & END_STREAM:
            self.guard.control_frame()

    def unwelcome_data(self, number: int, flags: int, size: int) -> None:
        """DATA that is dropped; of a stream that we have reset it is no fault."""
        state = self.target
        if state is None:
            self.check_known(number, DATA)
            if number not in self.resets:
                raise ConnectionFault(STREAM_CLOSED, f"DATA on closed stream {number}")
            if flags & END_STREAM:
                del self.resets[number]
            elif size == 0:
                self.guard.control_frame()
        elif not state.remote_open:
            self.fail(state, STREAM_CLOSED, "DATA after END_STREAM")
        elif size > state.window:
            self.fail(state, FLOW_CONTROL_ERROR, "DATA beyond the window of the stream")
        else:
            self.fail(state, PROTOCOL_ERROR, "more DATA than Content-Length")
        self.reopen()

    def content(self, state: StreamState, data: bytes) -> None:
        owner = state.owner
        if owner is not None:
            size = len(data)
            state.waiting += size
            owner.data_received(data, size)
            self.reopen()

    def data_ended(self, state: StreamState) -> None:
        self.end_request(state, [])

    def end_request(self, state: StreamState, trailers: Fields) -> None:
        """The peer's END_STREAM has come."""
        owner = state.owner
        state.remote_open = False
        state.window = CLOSED
        if self.target is state:
            self.target = None
        if not state.local_open:
            self.forget(state)
        if owner is not None:
            owner.request_ended(trailers)

    # -- the windows of the peer

    def give_back(self, state: StreamState, size: int) -> None:
        """Open the window of a stream again, half of it at a time.

        If nothing of it waits, what bounds it may be its window: it becomes larger.
        """
        state.consumed += size
        if state.consumed >= state.share // 2 and state.remote_open:
            more = state.consumed
            share = state.share
            if state.waiting == 0 and share < LARGE_WINDOW and share <= self.spare:
                self.spare -= share
                state.share += share
                more += share
            self.owner.write(window_update(state.number, more))
            state.window += more
            state.consumed = 0

    def reopen(self) -> None:
        """Open the window of the connection again, half of it at a time."""
        if self.window <= CONNECTION_WINDOW // 2:
            self.owner.write(window_update(0, CONNECTION_WINDOW - self.window))
            self.window = CONNECTION_WINDOW


def missing(state: StreamState) -> str:
    """What is wrong with a body that ends too early."""
    return f"{state.expected} bytes of Content-Length are missing"
