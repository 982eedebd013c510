"""The relay: read a piece, write a piece, mark the clock.

Called by the source in the turn of the event loop in which the bytes came in,
and writes to the sink before it returns: there is no queue, no task to wake
and no timer. What the sink's peer does not take waits in the transport; above
HIGH_WATER the source is not read until it has been taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeAlias

from proxy.errors import ContentCodingFailed, InternalError, ProxyError
from proxy.http1.chunked import ChunkedBody, whole_chunk_lines
from proxy.http1.grammar import Fields
from proxy.internal_errors import report
from proxy.policy.size_limits import body_too_large
from proxy.stream.content_decoder import ContentDecoder, DecodingError
from proxy.timeline import Clock, Timeline
from proxy.transport.flow import ChunkedSink, Sink, Source
from proxy.transport.pipeline import Pipeline, Slot

# Events are short; to read and write what is longer costs more than the way between.
SHORT = 4096  # bytes, of a whole chunk
LINES = whole_chunk_lines(SHORT)
# What one body may have decoded before others have their turn: steps, of 64 KiB at
# most, and seconds, since a step that is made to take long takes 5 ms.
STEPS_A_TURN = 32
TURN_SECONDS = 0.002

# Told once, when the body has ended: None, or what broke it.
Done: TypeAlias = Callable[[ProxyError | None], None]


class Relay(Pipeline):
    """One body, from a source to a sink. Ends once, by `done`."""

    __slots__ = ("done",)

    def __init__(self, source: Source, sink: Sink, done: Done) -> None:
        # As a pipeline's, without a call: each response has one.
        self.source = source
        self.sink = self.first = sink
        self.sent_at = 0.0
        self.done: Done | None = done
        sink.feeder = self
        if sink.blocked:  # by what was written before: its head, for one
            self.sink_blocked()

    @property
    def blocked(self) -> bool:
        """Should the source not be read for now?"""
        return self.sink.blocked

    def piece(self, data: bytes) -> None:
        self.first.send_piece(data)

    def end(self, trailers: Fields) -> None:
        if self.done is not None:
            self.first.send_end(trailers)
            self.finish(None)

    def broken(self, error: ProxyError) -> None:
        self.finish(error)

    def finish(self, error: ProxyError | None) -> None:
        """Let go of both ends and tell how it ended."""
        done = self.done
        if done is not None:
            self.done = None
            self.detach()
            done(error)


class RequestRelay(Relay):
    """A request body, to the upstream, as it arrives."""

    __slots__ = ("timeline",)

    def __init__(
        self, source: Source, sink: Sink, done: Done, timeline: Timeline
    ) -> None:
        super().__init__(source, sink, done)
        self.timeline = timeline

    def piece(self, data: bytes) -> None:
        self.timeline.bytes_received += len(data)
        self.first.send_piece(data)

    def end(self, trailers: Fields) -> None:
        # Dropped, as RFC 9110 §6.5.1 allows: an upstream that takes them for
        # fields of the head would be told things behind the proxy's back.
        super().end([])

    def finish(self, error: ProxyError | None) -> None:
        # A client that leaves is noticed only while it is read.
        self.source.resume_reading()
        super().finish(error)


class MeasuredRequestRelay(RequestRelay):
    """A request body that did not say how long it is, and has a limit."""

    __slots__ = ("limit",)

    def __init__(
        self,
        source: Source,
        sink: Sink,
        done: Done,
        timeline: Timeline,
        limit: int,
    ) -> None:
        super().__init__(source, sink, done, timeline)
        self.limit = limit

    def piece(self, data: bytes) -> None:
        if self.timeline.bytes_received + len(data) > self.limit:
            self.finish(body_too_large(self.limit))
        else:
            super().piece(data)


class ResponseRelay(Relay):
    """A response body, to the client, as it arrives, with its times."""

    __slots__ = ("call", "clock", "ended", "timeline", "trailers")

    def __init__(
        self,
        source: Source,
        sink: Sink,
        done: Done,
        timeline: Timeline,
        clock: Clock,
    ) -> None:
        self.timeline = timeline
        self.call = timeline.call
        self.clock = clock
        # Which trailers go on; None: none, since the client asked for none.
        self.trailers: Callable[[Fields], Fields] | None = None
        self.ended = False  # the body is here; the client may not have all of it
        super().__init__(source, sink, done)

    def piece(self, data: bytes) -> None:
        timeline = self.timeline
        now = self.clock()
        self.call.piece_read(now)
        timeline.bytes_sent += len(data)
        first = self.first
        first.send_piece(data)
        sent = self.sent_at
        if first is self.sink or sent < now:
            sent = self.clock()
        hold = sent - now  # as `piece_written`, without a call
        if hold > timeline.longest_hold:
            timeline.longest_hold = hold

    def arrival(self) -> float | None:
        return self.call.last_piece

    def end(self, trailers: Fields) -> None:
        if trailers:
            trailers = [] if self.trailers is None else self.trailers(trailers)
        super().end(trailers)

    def sink_blocked(self) -> None:
        timeline = self.timeline
        if timeline.beat_alone is None:  # else no byte of the upstream is held
            timeline.hold_begins(self.call.last_piece or self.clock())
        if not self.ended:
            self.source.pause_reading()

    def sink_ready(self) -> None:
        now, call = self.clock(), self.call
        self.timeline.hold_ends(now)
        blocked_since = self.timeline.beat_alone
        if blocked_since is None:
            call.silent_since = now
        else:  # a heartbeat is not the upstream's life; it was only not read meanwhile
            call.silent_since += now - blocked_since
        self.tell_drained()
        self.source.resume_reading()


class ChunkRelay(ResponseRelay):
    """A chunked response body, to a client that gets it chunked too."""

    __slots__ = ("body", "client")

    def __init__(
        self,
        source: Source,
        client: ChunkedSink,
        done: Done,
        timeline: Timeline,
        clock: Clock,
        body: ChunkedBody,
    ) -> None:
        super().__init__(source, client, done, timeline, clock)
        self.body = body
        self.client = client

    def passes(self, data: bytes) -> bool:
        """Send a read on as it is, if it is one whole chunk as we would write it.

        A stream is made of such reads. It is `feed`, `piece` and `send_piece` in
        one call: between two events a processor's caches forget the way, and
        every call on it is paid for again.
        """
        length = len(data)
        if length > SHORT or not self.body.between:
            return False
        line = LINES[length]
        if line is None or not (data.startswith(line) and data.endswith(b"\r\n")):
            return False
        if self.first is not self.client:
            return self.passes_witnesses(data, data[len(line) : -2])
        timeline, call, clock = self.timeline, self.call, self.clock
        now = clock()
        last = call.last_piece
        if last is None:
            call.first_byte = now
        elif now - last > call.longest_gap:
            call.longest_gap = now - last
        call.last_piece = call.silent_since = now
        call.pieces += 1
        timeline.bytes_sent += length - len(line) - 2
        self.client.transport.write(data)
        hold = clock() - now
        if hold > timeline.longest_hold:
            timeline.longest_hold = hold
        return True

    def passes_witnesses(self, data: bytes, piece: bytes) -> bool:
        """The same where witnesses are all that stands before the client."""
        each = (
            self.first
        )  # as `has_witnesses_only` and `tell_witnesses`, without a call
        while isinstance(each, Slot):
            if not each.witness:
                return False
            each = each.next
        if each is not self.client:
            return False
        timeline, call, clock = self.timeline, self.call, self.clock
        now = clock()
        last = call.last_piece
        if last is None:
            call.first_byte = now
        elif now - last > call.longest_gap:
            call.longest_gap = now - last
        call.last_piece = call.silent_since = now
        call.pieces += 1
        timeline.bytes_sent += len(piece)
        self.client.transport.write(data)
        self.sent_at = sent = clock()
        if sent - now > timeline.longest_hold:
            timeline.longest_hold = sent - now
        each = self.first
        while isinstance(each, Slot):
            following = each.next  # it may take itself out
            each.passed(piece)
            each = following
        return True

    def has_witnesses_only(self) -> bool:
        """Does nothing that may change a piece stand before the client?"""
        each = self.first
        while isinstance(each, Slot):
            if not each.witness:
                return False
            each = each.next
        return each is self.client

    def tell_witnesses(self, piece: bytes) -> None:
        """A piece was sent past them."""
        each = self.first
        while isinstance(each, Slot):
            following = each.next  # it may take itself out
            each.passed(piece)
            each = following


class DecodingRelay(ResponseRelay):
    """A compressed response body, decoded piece by piece.

    Each piece yields at once all that can be known from it, one step at a
    time. While the client is slow the next step is not computed; and what takes
    long is done in many turns of the loop, so that others have theirs.
    """

    __slots__ = ("decoder", "fault", "resting", "steps")

    def __init__(
        self,
        source: Source,
        sink: Sink,
        done: Done,
        timeline: Timeline,
        clock: Clock,
        decoder: ContentDecoder,
    ) -> None:
        super().__init__(source, sink, done, timeline, clock)
        self.decoder = decoder
        # When each coded piece came, and what it decodes to.
        self.steps: list[tuple[float, Iterator[bytes]]] = []
        self.resting = False  # until the next turn of the loop
        self.fault: ProxyError | None = None  # what broke the body, behind its pieces

    @property
    def blocked(self) -> bool:
        return self.sink.blocked or self.resting

    def arrival(self) -> float | None:
        return self.steps[0][0] if self.steps else None

    def piece(self, data: bytes) -> None:
        now = self.clock()
        self.call.piece_read(now)
        self.steps.append((now, self.decoder.decode(data)))
        if not self.sink.blocked and not self.resting:
            self.pump(now)
        sent = self.sent_at if self.sent_at >= now else self.clock()
        self.timeline.piece_written(now, sent)

    def end(self, trailers: Fields) -> None:
        if self.done is None:  # broken by the piece that came with the end
            return
        self.ended = True
        if self.sink.blocked or self.resting:
            # It may be long until the client has all. Whatever the upstream
            # still sends, or that it closes, has to be known by then.
            self.source.resume_reading()
        else:
            self.pump(self.clock())

    def broken(self, error: ProxyError) -> None:
        # What came before the break was good; the client is owed it.
        self.fault = error
        if not self.sink.blocked and not self.resting:
            self.pump(self.clock())

    def sink_ready(self) -> None:
        self.tell_drained()
        if not self.resting:
            self.timeline.hold_ends(self.clock())
            self.go_on()

    def rested(self) -> None:
        """The turn after one that was used up. Called by the loop."""
        self.resting = False
        try:
            if self.sink.feeder is self and not self.sink.blocked:
                self.go_on()
        except Exception as error:
            report("decoding a body", error)
            self.finish(InternalError())

    def go_on(self) -> None:
        """Decode what waits, and read on once none does."""
        self.pump(self.clock())
        if self.done is not None and not self.sink.blocked and not self.resting:
            super().sink_ready()

    def pump(self, began: float) -> None:
        """Write decoded steps until there are no more, or the client is slow.

        Or until the turn is used up: the rest of them comes in the next one.
        """
        left = STEPS_A_TURN
        try:
            while self.steps:
                for step in self.steps[0][1]:
                    if step:
                        self.timeline.bytes_sent += len(step)
                        self.first.send_piece(step)
                        if self.sink.blocked:
                            return
                    # Most pieces are one step: their time is not looked at.
                    if left < STEPS_A_TURN and (
                        not left or self.clock() - began > TURN_SECONDS
                    ):
                        self.rest(began)
                        return
                    left -= 1
                del self.steps[0]
        except DecodingError as fault:
            self.steps.clear()
            self.finish(ContentCodingFailed(f"cannot decode the body: {fault}"))
            return
        if self.fault is not None:
            self.finish(self.fault)
        elif self.ended:
            super().end([])

    def rest(self, began: float) -> None:
        """Let others have their turn; nothing more is read meanwhile."""
        self.resting = True
        self.timeline.hold_begins(began)
        if not self.ended:
            self.source.pause_reading()
        asyncio.get_running_loop().call_soon(self.rested)
