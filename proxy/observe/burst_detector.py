"""Does a stream arrive in bursts? Then somebody before us holds it. Pure.

Or behind us: while the client does not read, nothing is read for it either, and what
the upstream has sent meanwhile comes at once.
What is held comes out at once: several events within a moment, then silence,
then several events again. A model that pauses and goes on to write does not
look like this: its events come one by one.
"""

from __future__ import annotations

APART_SECONDS = 1.0  # of silence, between two bursts
MOMENT_SECONDS = 0.1  # in which a burst is here
FEWEST_EVENTS = 3  # of a burst; fewer may have happened at the same time
FEWEST_BURSTS = 2


class BurstDetector:
    """What is known of one stream so far."""

    __slots__ = (
        "before",
        "bursts",
        "events",
        "first",
        "holds",
        "last",
        "size",
        "start",
        "waits",
    )

    def __init__(self) -> None:
        self.first = 0.0  # when the first burst began
        self.before = 0.0  # when the one before the present one did
        self.start = 0.0  # when the present one did
        self.last: float | None = None
        self.size = 0  # events of the present burst
        self.bursts = 0  # before the present one
        self.events = 0
        self.holds = True  # nothing has spoken against it yet
        self.waits = 0  # silences in which the client did not read

    def piece(self, now: float, events: int) -> None:
        """A piece has come with so many events."""
        if self.last is None:
            self.first = self.start = now
        elif now - self.last >= APART_SECONDS:
            if self.size < FEWEST_EVENTS:
                self.holds = False
            self.bursts += 1
            self.before, self.start = self.start, now
            self.size = 0
        elif now - self.start > MOMENT_SECONDS:
            self.holds = False
        self.last = now
        self.size += events
        self.events += events

    def client_read(self, now: float) -> None:
        """The client has read on, for which the stream has waited."""
        if self.last is not None and now - self.last >= APART_SECONDS:
            self.waits += 1

    @property
    def is_behind_us(self) -> bool:
        """Was the client what the stream waited for, and not the upstream?"""
        return self.waits > 0 and self.waits >= self.bursts

    @property
    def decided(self) -> bool:
        """Is there no use in looking on?"""
        return not self.holds or self.verdict() is not None

    def verdict(self) -> str | None:
        """In words what was seen; None: it flows, or too little was seen.

        A last burst that is small, or has only begun, is left out.
        """
        bursts, events, start = self.bursts + 1, self.events, self.start
        if self.size < FEWEST_EVENTS:
            bursts, events, start = self.bursts, events - self.size, self.before
        if not self.holds or bursts < FEWEST_BURSTS:
            return None
        apart = (start - self.first) / (bursts - 1)
        return f"{events} events in {bursts} bursts {apart:.1f} s apart"


def events_in(data: bytes, kind: str) -> int:
    """How many events end in a piece."""
    if kind == "ndjson":
        return data.count(b"\n")
    return data.count(b"\n\n") + data.count(b"\r\n\r\n") + data.count(b"\r\r")
