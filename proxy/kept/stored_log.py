"""A log in the memory of this process that is written to a shared store as well.

The store reads from it what it has yet to write, so that there is no other buffer. To
mark that something is new costs one test for a piece.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from proxy.kept.memory_log import Budget, MemoryLog, last_in
from proxy.stream.event_index import Cut


class LogWriter(Protocol):
    """Who writes a log to a store. Neither waits, nor raises."""

    def log_grew(self) -> None:
        """Something is new: called once, until `clean` is set again."""

    def log_rolled_back(self) -> None:
        """The end of the log is an earlier one than before."""

    def log_closes(self) -> None:
        """The log is about to be emptied, for good."""


class StoredLog(MemoryLog):
    """See above. `clean`: its writer knows of nothing that is new."""

    __slots__ = ("clean", "writer")

    def __init__(self, budget: Budget, max_bytes: int, prefix: bytes | None) -> None:
        super().__init__(budget, max_bytes, prefix)
        self.writer: LogWriter | None = None
        self.clean = False

    def attach(self, writer: LogWriter | None) -> None:
        """Be written by somebody, from now on; None: by nobody."""
        self.writer = writer
        self.clean = writer is not None

    def grew(self) -> None:
        """Tell the writer, who wants to know."""
        self.clean = False
        if self.writer is not None:
            self.writer.log_grew()

    def append(self, piece: bytes, cuts: Sequence[Cut]) -> None:
        super().append(piece, cuts)
        if self.clean:
            self.grew()

    def append_event(self, event: bytes, numbered: bool) -> bool:
        counted = super().append_event(event, numbered)
        if self.clean:
            self.grew()
        return counted

    def roll_back(self) -> int:
        end = super().roll_back()
        if self.writer is not None:
            self.writer.log_rolled_back()
        return end

    def close(self) -> None:
        if self.writer is not None:
            self.writer.log_closes()
        super().close()

    def events_before(self, position: int) -> int:
        """How many events end up to a position that is still kept."""
        return self.dropped + bisect_right(self.events, position)

    @property
    def numbered(self) -> int:
        """The last event whose id is known by its number; 0: none is."""
        return self.dropped + len(self.events) if self.in_order else self.ours

    def known_end(self) -> tuple[int, int, int]:
        """The end, how many events end up to there, and whether it is a cut."""
        end, events, comments = self.end, self.events, self.comments
        cut = (len(events) > 0 and events[-1] == end) or (
            len(comments) > 0 and comments[-1] == end
        )
        return end, self.dropped + len(events), int(cut)

    def cut_before(self, position: int, least: int) -> int:
        """The last cut up to a position and behind `least`; if none, the position."""
        last = max(last_in(self.events, position), last_in(self.comments, position))
        return last if last > least else position
