"""Whose turn it is to write on a connection that is shared (RFC 9218 §10).

Streams are here that have bytes to send and a window for them. What is small goes
first, whatever its urgency: an event beside a download waits for one frame of it. Of
what is large the most urgent takes turns; a response that is of no use in parts leaves
its turn to the oldest like it. And now and then it is the turn of whoever has waited
longest: what a client thinks of little use shall not stand still.
"""

from __future__ import annotations

from typing import Protocol

SMALL = 1024  # bytes that wait; events are shorter
ROUND = 8  # of so many turns of what is large, one does not go by urgency


class Taking(Protocol):
    """A stream that has bytes to send."""

    number: int
    urgency: int
    incremental: bool  # is a part of it of use?
    queued: int  # bytes that wait
    in_turn: bool  # is it here?


class Turns:
    """The streams of one connection that wait for a turn, the longest first."""

    __slots__ = ("large", "small", "smalls", "taken")

    def __init__(self) -> None:
        self.small: list[Taking] = []
        self.large: list[Taking] = []
        self.smalls = 0  # that may go before the next large one
        self.taken = 0  # turns of large ones

    def __bool__(self) -> bool:
        return bool(self.small or self.large)

    def add(self, stream: Taking) -> None:
        """A stream has bytes, and may send some of them."""
        stream.in_turn = True
        if stream.queued <= SMALL:
            self.small.append(stream)
        else:
            self.large.append(stream)

    def remove(self, stream: Taking) -> None:
        """It waits no more, or for something else."""
        if stream.in_turn:
            stream.in_turn = False
            (self.small if stream in self.small else self.large).remove(stream)

    def pop(self) -> Taking:
        """Whose turn it is; it is here no longer."""
        if self.small and (self.smalls > 0 or not self.large):
            self.smalls -= 1
            stream = self.small.pop(0)
        else:
            stream = self.next_large()
            self.large.remove(stream)
            self.smalls = len(self.small)
        stream.in_turn = False
        return stream

    def next_large(self) -> Taking:
        """One of those that have much to send."""
        large = self.large
        self.taken += 1
        if len(large) == 1 or self.taken % ROUND == 0:
            return large[0]
        first = min(large, key=urgency_of)  # of equals, the one that waits longest
        if first.incremental:
            return first
        oldest = first
        for each in large:
            if (
                each.number < oldest.number
                and each.urgency == first.urgency
                and not each.incremental
            ):
                oldest = each
        if oldest is not first:  # its turn is taken all the same
            large.remove(first)
            large.append(first)
        return oldest


def urgency_of(stream: Taking) -> int:
    """0 is served first."""
    return stream.urgency
