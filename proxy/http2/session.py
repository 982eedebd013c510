"""One HTTP/2 connection with a client, without its socket (RFC 9113).

Frames come in and become calls; what has to be answered is written at once. What a
response looks like, and when its bytes go out, is the business of those who own the
streams.
"""

from __future__ import annotations

from proxy.http2.faults import ConnectionFault, StreamFault
from proxy.http2.field_section import FieldReader
from proxy.http2.frame_rules import check_frame
from proxy.http2.frames import (
    ACK,
    CONTINUATION,
    DEFAULT_WINDOW,
    END_HEADERS,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    LARGEST_NUMBER,
    NO_ERROR,
    NUMBER,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    STREAM_CLOSED,
    TWO_NUMBERS,
    WINDOW_UPDATE,
    goaway_frame,
    head_frames,
    kind_name,
    ping_frame,
    window_update,
)
from proxy.http2.header_block import PRIORITY_BYTES, HeaderBlock, depends_on
from proxy.http2.limits import Http2Limits
from proxy.http2.open_streams import CONNECTION_WINDOW, OpenStreams, missing
from proxy.http2.peer_settings import PeerSettings, own_settings
from proxy.http2.priority import Priority, parse_priority
from proxy.http2.stream_state import SessionOwner, StreamState, expected_length
from proxy.timeline import Clock

MAX_DEBUG = 512  # bytes of a reason in GOAWAY
REMEMBERED_PRIORITIES = 100  # of streams that have not begun
# A window may be opened for each frame that fills what it can, and for so many bytes.
UPDATED_BYTES = 256
SIZE_UPDATE = b"\x20"  # RFC 7541 §6.3: a dynamic table of 0 bytes, which ours always is


class Session(OpenStreams):
    """The server's side of a connection."""

    def __init__(self, owner: SessionOwner, limits: Http2Limits, clock: Clock) -> None:
        super().__init__(owner, limits, clock)
        self.reader = FieldReader(
            limits.max_head_bytes, limits.max_fields, limits.max_target_bytes
        )
        self.peer = PeerSettings()
        self.settings_acked = False  # the peer goes by our settings
        self.skipped = False  # a number was left out: its stream is closed, too
        self.final = LARGEST_NUMBER  # what comes behind it is ignored: we go away
        self.priorities: dict[int, Priority] = {}
        self.block: HeaderBlock | None = None
        self.send_window = DEFAULT_WINDOW  # of the connection
        self.granted = DEFAULT_WINDOW  # all that it has ever been opened by
        self.data_frames = 0  # that we sent, and no window had cut short
        self.requests = 0

    # -- for the owner of the connection

    def start(self) -> None:
        """Send our preface: settings, and the window of the connection."""
        update = window_update(0, CONNECTION_WINDOW - self.window)
        self.owner.write(own_settings(self.limits) + update)
        self.window = CONNECTION_WINDOW

    @property
    def max_frame(self) -> int:
        """The largest payload that the peer takes."""
        return self.peer.max_frame

    @property
    def peer_initial_window(self) -> int:
        """How many bytes the peer takes of a stream that begins."""
        return self.peer.initial_window

    def send_head(self, number: int, block: bytes, *, end: bool) -> bytes:
        """The frames of a header block, to be sent now; `end`: nothing follows."""
        if self.peer.table_reduced:
            self.peer.table_reduced = False
            block = SIZE_UPDATE + block
        if end:
            self.ended(number)
        return head_frames(number, block, self.peer.max_frame, end=end)

    def ping(self, data: bytes) -> None:
        """Ask for a sign of life: eight bytes, which come back to `ping_acked`."""
        self.owner.write(ping_frame(data))

    def go_away(self, code: int, reason: str = "", last: int | None = None) -> None:
        """Say which streams are still served; with an error, none is.

        Requests behind `last` are ignored from now on: the client repeats them
        elsewhere.
        """
        if last is None:
            last = self.last
        debug = reason.encode("utf-8", "replace")[:MAX_DEBUG]
        self.owner.write(goaway_frame(last, code, debug))
        self.final = min(self.final, last)
        if code != NO_ERROR:
            self.closed = True
            self.target = None
            self.parts = []

    # -- frames

    def frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        block = self.block
        if block is not None and (kind != CONTINUATION or number != block.number):
            raise ConnectionFault(
                PROTOCOL_ERROR,
                f"{kind_name(kind)} on stream {number} within the header block of "
                f"stream {block.number}",
            )
        check_frame(kind, number, len(payload))
        if kind == HEADERS:
            self.take_headers(flags, number, payload)
        elif kind == WINDOW_UPDATE:
            self.take_window_update(number, payload)
        elif kind == RST_STREAM:
            self.take_reset(number, payload)
        elif kind == CONTINUATION:
            self.take_continuation(flags, number, payload)
        elif kind == SETTINGS:
            self.take_settings(flags, payload)
        elif kind == PING:
            self.take_ping(flags, payload)
        elif kind == GOAWAY:
            self.guard.control_frame()
            _, code = TWO_NUMBERS.unpack_from(payload)
            self.owner.going_away(code, payload[8:])
        elif kind == PRIORITY:
            self.take_priority(number, payload)
        elif kind == PRIORITY_UPDATE:
            self.take_priority_update(payload)
        elif kind == PUSH_PROMISE:
            raise ConnectionFault(PROTOCOL_ERROR, "PUSH_PROMISE from a client")
        else:  # RFC 9113 §5.5
            self.guard.control_frame()

    # -- header blocks

    def take_headers(self, flags: int, number: int, payload: bytes) -> None:
        new = False
        if number not in self.states:
            if number % 2 == 0:
                raise ConnectionFault(PROTOCOL_ERROR, f"HEADERS on stream {number}")
            if number > self.highest:
                new = True
                self.skipped |= number > self.highest + 2
                self.highest = number
            elif number not in self.resets:
                # A number that was left out is an unexpected one (RFC 9113 §5.1.1).
                raise ConnectionFault(
                    PROTOCOL_ERROR if self.skipped else STREAM_CLOSED,
                    f"HEADERS on closed stream {number}",
                )
        self.block = HeaderBlock(number, flags, payload, new=new)
        self.in_block = True
        if flags & END_HEADERS:
            self.end_block(self.block)

    def take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self.block
        if block is None:
            raise ConnectionFault(
                PROTOCOL_ERROR, f"CONTINUATION on stream {number} without HEADERS"
            )
        block.add(payload, self.limits.max_head_bytes)
        if flags & END_HEADERS:
            self.end_block(block)

    def end_block(self, block: HeaderBlock) -> None:
        """A header block is complete; whoever it is for, it has to be decoded."""
        self.block = None
        self.in_block = False
        number = block.number
        state = self.states.get(number)
        if block.new:
            self.take_request(block)
        elif state is None:  # reset by us
            self.reader.skip(block.data)
            if block.ends_stream:
                self.resets.pop(number, None)
            self.guard.control_frame()
        elif not state.remote_open:
            self.reader.skip(block.data)
            self.fail(state, STREAM_CLOSED, "HEADERS after END_STREAM")
        elif not block.ends_stream:
            self.reader.skip(block.data)
            self.fail(state, PROTOCOL_ERROR, "trailers without END_STREAM")
        elif block.selfish:
            self.reader.skip(block.data)
            self.fail(state, PROTOCOL_ERROR, "the stream depends on itself")
        else:
            self.take_trailers(state, block)

    def take_trailers(self, state: StreamState, block: HeaderBlock) -> None:
        try:
            trailers = self.reader.trailers(block.data)
        except StreamFault as fault:
            self.fail(state, fault.code, fault.reason)
            return
        if state.falls_short:
            self.fail(state, PROTOCOL_ERROR, missing(state))
        else:
            self.end_request(state, trailers)

    def take_request(self, block: HeaderBlock) -> None:
        """The header block that opens a stream."""
        number = block.number
        priority = self.priorities.pop(number, None)
        if number > self.final:
            self.reader.skip(block.data)
            self.guard.control_frame()
            if not block.ends_stream:
                self.ignore(number)
        elif 0 < self.limits.max_streams <= len(self.states):
            self.reader.skip(block.data)
            self.guard.stream_reset()
            self.refuse(number, REFUSED_STREAM, remote_open=not block.ends_stream)
        else:
            try:
                self.open(block, priority)
            except StreamFault as fault:
                self.guard.stream_reset()
                self.refuse(number, fault.code, remote_open=not block.ends_stream)
                self.owner.request_malformed(number, fault)

    def open(self, block: HeaderBlock, priority: Priority | None) -> None:
        """Begin a request.

        Raises:
            StreamFault: nobody has heard of it.
        """
        number, complete = block.number, block.ends_stream
        section = self.reader.request(block.data, complete=complete)
        if block.selfish:
            raise StreamFault(PROTOCOL_ERROR, "the stream depends on itself")
        head = section.head
        state = StreamState(number, expected_length(head), remote_open=not complete)
        if complete and state.falls_short:
            raise StreamFault(PROTOCOL_ERROR, missing(state))
        self.last = number
        self.requests += 1
        self.states[number] = state
        if head is None or section.error is not None:
            assert section.error is not None
            owner = self.owner.request_refused(number, section.error, head)
        else:
            if priority is None:
                priority = parse_priority(head.index.get(b"priority"))
            owner = self.owner.request_received(
                number, head, section.protocol, priority, complete=complete
            )
        if self.states.get(number) is not state:
            return  # answered already
        if owner is None:
            self.reset(number, NO_ERROR if not state.local_open else REFUSED_STREAM)
        else:
            state.owner = owner
            self.streams[number] = owner

    # -- the other frames

    def take_reset(self, number: int, payload: bytes) -> None:
        state = self.states.get(number)
        if state is None:
            self.check_known(number, RST_STREAM)
            self.resets.pop(number, None)
            self.guard.control_frame()
            return
        self.guard.stream_reset()  # CVE-2023-44487
        owner = state.owner
        self.forget(state)
        if owner is not None:
            (code,) = NUMBER.unpack(payload)
            owner.reset_received(code)

    def take_window_update(self, number: int, payload: bytes) -> None:
        (increment,) = NUMBER.unpack(payload)
        increment &= LARGEST_NUMBER
        sent = self.granted - self.send_window  # bytes, of all streams
        reasons = self.data_frames + self.requests + sent // UPDATED_BYTES
        self.guard.window_update(reasons)
        if number == 0:
            self.granted += increment
            self.send_window += increment
            if increment == 0:
                raise ConnectionFault(PROTOCOL_ERROR, "WINDOW_UPDATE of 0 bytes")
            if self.send_window > LARGEST_NUMBER:
                raise ConnectionFault(
                    FLOW_CONTROL_ERROR, "window of the connection beyond 2^31-1"
                )
            self.owner.window_opened()
            return
        state = self.states.get(number)
        if state is None:
            self.check_known(number, WINDOW_UPDATE)
            return
        owner = state.owner
        if increment == 0:
            self.fail(state, PROTOCOL_ERROR, "WINDOW_UPDATE of 0 bytes")
        elif owner is not None and state.local_open:
            owner.send_window += increment
            if owner.send_window > LARGEST_NUMBER:
                self.fail(state, FLOW_CONTROL_ERROR, "window beyond 2^31-1")
            else:
                owner.window_opened()

    def take_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                raise ConnectionFault(
                    FRAME_SIZE_ERROR, f"acknowledged SETTINGS of {len(payload)} bytes"
                )
            if self.settings_acked:
                self.guard.control_frame()
            self.settings_acked = True
            return
        self.guard.control_frame()
        before = self.peer.initial_window
        self.peer.apply(payload)
        # Before anything is sent that goes by them (RFC 9113 §6.5.3).
        self.owner.write(SETTINGS_ACK)
        change = self.peer.initial_window - before
        if change:
            self.change_windows(change)

    def change_windows(self, change: int) -> None:
        """A new initial window holds for open streams, too (RFC 9113 §6.9.2)."""
        owners = list(self.streams.values())
        for owner in owners:
            owner.send_window += change
            if owner.send_window > LARGEST_NUMBER:
                raise ConnectionFault(
                    FLOW_CONTROL_ERROR,
                    "SETTINGS_INITIAL_WINDOW_SIZE opens a window beyond 2^31-1",
                )
        if change > 0:
            for number, owner in list(self.streams.items()):
                if self.streams.get(number) is owner:
                    owner.window_opened()

    def take_ping(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            self.owner.ping_acked(payload)
        else:
            self.owner.write(ping_frame(payload, ACK))
        self.guard.control_frame()

    def take_priority(self, number: int, payload: bytes) -> None:
        """RFC 7540's, which we do not go by; only what it must not be is looked at."""
        self.guard.control_frame()
        fault = ""
        code = PROTOCOL_ERROR
        if len(payload) != PRIORITY_BYTES:
            code = FRAME_SIZE_ERROR
            fault = f"PRIORITY of {len(payload)} bytes"
        elif depends_on(payload) == number:
            fault = "the stream depends on itself"
        if fault:
            state = self.states.get(number)
            if state is None:
                raise ConnectionFault(code, f"stream {number}: {fault}")
            self.fail(state, code, fault)

    def take_priority_update(self, payload: bytes) -> None:
        """RFC 9218 §7.1. It may come before the request that it is of."""
        self.guard.control_frame()
        (number,) = NUMBER.unpack_from(payload)
        number &= LARGEST_NUMBER
        if number % 2 == 0:
            raise ConnectionFault(PROTOCOL_ERROR, f"PRIORITY_UPDATE of stream {number}")
        priority = parse_priority(payload[4:])
        owner = self.streams.get(number)
        if owner is not None:
            owner.reprioritised(priority)
        elif number > self.highest and len(self.priorities) < REMEMBERED_PRIORITIES:
            self.priorities[number] = priority
