"""The store as the upstream of a followed stream: what it tells, and who hears it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from proxy.exchange.takeover import Takeover
from proxy.kept.shared_store import Following, SharedStore, StreamEnd, StreamMeta
from proxy.transport.client_stream import ClientStream


class FedStream(Protocol):
    """The stream."""

    id: bytes
    settled: bool
    taken: bool  # is it this process's by now?
    takeover: Takeover

    @property
    def is_begun(self) -> bool:
        """Is its head known?"""

    def begin(self, meta: StreamMeta) -> None:
        """Its head is known."""

    def take(self, position: int, data: bytes, events: int, at_cut: bool) -> None:
        """What is new, or is here already."""

    def arrive(self) -> None:
        """All that there was is here."""

    def conclude(self, end: StreamEnd) -> None:
        """It has ended."""

    def go_on_from(self, position: int) -> None:
        """Another node has it now. What is behind that position is not of it."""

    def turn_away(self) -> None:
        """It is not kept after all."""

    def fail(self, reason: str) -> None:
        """It cannot be followed any more."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""

    def leave_store(self) -> None:
        """Nobody reads it here."""


class StoreSource:
    """See `Feed`, `ResponseSource` and `Source`."""

    __slots__ = ("following", "shared", "stream")

    def __init__(self, stream: FedStream, shared: SharedStore) -> None:
        self.stream = stream
        self.shared = shared
        self.following: Following | None = None

    def follow(self, behind: int) -> None:
        """Begin; what stands before the end of that event is not needed."""
        self.following = self.shared.follow(self.stream.id, None, self, behind)

    def close(self) -> None:
        """Follow it no more."""
        following, self.following = self.following, None
        if following is not None:
            following.close()

    @property
    def is_coming(self) -> bool:
        """Is it being read, or waits for its turn? Not if the store does not answer."""
        following = self.following
        return following is not None and following.is_behind and self.shared.up

    @property
    def is_doubtful(self) -> bool:
        """May its owner be dead, and is that soon known?"""
        following = self.following
        return following is not None and following.is_doubtful and self.shared.up

    # -- what the store tells

    @property
    def wanted(self) -> bool:
        """Is it still to be heard?"""
        return not self.stream.settled and not self.stream.taken

    def contained(self, step: Callable[[], None]) -> None:
        """What it raises is the end of the stream here, and of nothing else."""
        try:
            step()
        except Exception as error:
            self.stream.crashed("following a stream", error)

    def changed(self, meta: StreamMeta) -> None:
        if self.wanted and not self.stream.is_begun:
            self.contained(partial(self.stream.begin, meta))

    def data(
        self, position: int, data: bytes, events_before: int, at_cut: bool
    ) -> None:
        if self.wanted:
            self.contained(
                partial(self.stream.take, position, data, events_before, at_cut)
            )

    def caught_up(self) -> None:
        self.contained(self.stream.arrive)

    def ended(self, end: StreamEnd) -> None:
        if self.wanted:
            self.following = None
            self.contained(partial(self.stream.conclude, end))

    def owner_died(self, epoch: int) -> None:
        if self.wanted:
            self.contained(partial(self.stream.takeover.lose_owner, epoch))

    def owner_back(self, epoch: int) -> None:
        if self.wanted:
            self.contained(partial(self.stream.takeover.owner_is_back, epoch))

    def moved(self, epoch: int, position: int) -> None:
        if self.wanted:
            self.contained(partial(self.stream.go_on_from, position))

    def declined(self) -> None:
        if self.wanted:
            self.following = None
            self.contained(self.stream.turn_away)

    def damaged(self, reason: str) -> None:
        if self.wanted:
            text = f"the stream cannot be read from the store: {reason}"
            self.contained(partial(self.stream.fail, text))

    # -- as the source of the exchange

    @property
    def waiting_for(self) -> str:
        return "store"

    def abort(self) -> None:
        self.stream.leave_store()

    def go_on_for(self, client: ClientStream) -> None:
        """Its client is the log, and stays so."""

    def pause_reading(self) -> None:
        """The store does not wait: who does not keep up is fed from the log."""

    def resume_reading(self) -> None:
        """See `pause_reading`."""
