"""Heartbeats: a comment to the client while an event stream is silent.

A hop that cuts silence sees bytes, and an EventSource ignores them (WHATWG HTML
§9.2.6). A beat goes straight to the client, beside the relay: it is not a piece of
the upstream, so nothing that is known of the upstream changes.

There is one timer for each stream with heartbeats, and none for a piece: when it
rings it is set again for what is left.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NamedTuple, Protocol

from proxy.http1.grammar import Fields
from proxy.internal_errors import report
from proxy.policy.delivery import DIGESTS
from proxy.policy.header_fields import without
from proxy.stream.event_stream import BOM, Boundary, LineBoundary
from proxy.timeline import Clock
from proxy.transport.client_stream import ClientStream
from proxy.transport.pipeline import HEARTBEAT, Pipeline, Slot

# A loop may call a timer early by as much as its own clock is behind.
EARLY = 0.001  # seconds; less is not waited for


class Heartbeat(NamedTuple):
    """What a route's streams get: `comment`, after so many seconds of silence.

    `blank_lines`: instead of it, for a client that does not skip comments.
    """

    seconds: float
    comment: bytes
    blank_lines: bytes


def heartbeat(seconds: float, padding_bytes: int) -> Heartbeat | None:
    """What the two keys of a route ask for.

    One line, and no blank line behind it: the openai package for Python takes one
    that follows an `id` for an event, and fails to read it as JSON.
    """
    if not seconds:
        return None
    comment = b":" + b" " * padding_bytes + b"\n"
    return Heartbeat(seconds, comment, b"\n" * (1 + padding_bytes))


class Owner(Protocol):
    """Whose stream it is."""

    client: ClientStream

    def heartbeat(self, beat: bytes, now: float) -> None:
        """A beat goes out to the client."""


class HeartbeatSlot(Slot):
    """Knows when the client was last sent something, and sends beats."""

    __slots__ = (
        "boundary",
        "client",
        "clock",
        "comment",
        "last",
        "owner",
        "seconds",
        "timer",
    )
    rank: ClassVar[int] = HEARTBEAT
    witness: ClassVar[bool] = True

    def __init__(
        self,
        owner: Owner,
        boundary: Boundary | LineBoundary,
        clock: Clock,
        seconds: float,
        comment: bytes,
    ) -> None:
        super().__init__()
        self.owner = owner
        self.client = owner.client
        self.boundary = boundary
        self.clock = clock
        self.seconds = seconds
        self.comment = comment  # or blank lines
        self.last = 0.0  # when the client was last sent something
        self.timer: asyncio.TimerHandle | None = None

    # -- what passes

    def attach(self, pipeline: Pipeline) -> None:
        """Stand in the way of a direction whose first piece has yet to come."""
        pipeline.insert(MarkSlot(pipeline))
        pipeline.insert(self)

    def send_piece(self, piece: bytes) -> None:
        self.next.send_piece(piece)
        self.last = self.clock()

    def passed(self, piece: bytes) -> None:
        self.last = self.clock()

    def send_end(self, trailers: Fields) -> None:
        self.over()
        # A digest behind the body is of the bytes that the upstream has sent.
        self.next.send_end(without(trailers, DIGESTS) if trailers else trailers)

    def drained(self) -> None:
        self.last = self.clock()  # until now there was something to send

    # -- the beats

    def begin(self) -> None:
        """Send the first beat, behind the head and in the same write.

        Firefox tells a page of a response once the first byte of its body is here,
        and development servers hold the head until then.
        """
        try:
            self.last = self.clock()
            if self.may_beat:
                self.send_beat()
            self.wait(self.seconds)
        except Exception as error:
            report("the first heartbeat of a stream", error)

    def wait(self, seconds: float) -> None:
        """Look again in so many seconds."""
        self.timer = asyncio.get_running_loop().call_later(seconds, self.rang)

    def rang(self) -> None:
        """Send a beat if it is time for one; called by the loop."""
        self.timer = None
        try:
            left = self.last + self.seconds - self.clock()
            if left > EARLY:
                self.wait(left)
                return
            if self.may_beat:
                self.send_beat()
            # Where none may be sent, something is sent first: another time to wait.
            if not self.client.closed:
                self.wait(self.seconds)
        except Exception as error:
            report("a heartbeat", error)

    @property
    def may_beat(self) -> bool:
        """Would a comment change nothing, and does the client take one?"""
        client = self.client
        return not client.blocked and not client.closed and self.boundary.takes_comment

    def send_beat(self) -> None:
        """Send one, and tell of it first: if it blocks the client, that is no hold."""
        self.last = now = self.clock()
        self.owner.heartbeat(self.comment, now)
        self.client.send_aside(self.comment)

    def over(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class MarkSlot(Slot):
    """Leaves out a byte order mark, and itself once the first bytes have passed.

    At the beginning of a stream a mark means nothing; behind a heartbeat, and one may
    have been sent by then, it would be a part of a field's name.
    """

    __slots__ = ("held", "pipeline")
    rank: ClassVar[int] = HEARTBEAT

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.held = b""  # what may be the beginning of a mark

    def send_piece(self, piece: bytes) -> None:
        begun = self.held + piece
        if len(begun) < len(BOM) and BOM.startswith(begun):
            self.held = begun
            return
        self.pipeline.remove(self)
        rest = begun.removeprefix(BOM)
        if rest:
            self.next.send_piece(rest)

    def send_end(self, trailers: Fields) -> None:
        if self.held:
            self.next.send_piece(self.held)
        self.next.send_end(trailers)
