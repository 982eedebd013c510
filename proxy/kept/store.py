"""Where logs of streams are kept: the interface, and the store in memory.

A store never delays a live stream and never ends one. Where it has no room, it keeps
less, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.kept.log import StreamLog
from proxy.kept.memory_log import Budget
from proxy.kept.stored_log import StoredLog


class LogStore:
    """A place for logs."""

    __slots__ = ()

    @property
    def used(self) -> int:
        """Bytes that all logs together are charged with; at least what they use."""
        raise NotImplementedError

    def open(self, max_bytes: int, prefix: bytes | None = None) -> StreamLog | None:
        """A log for a new stream; None if there is no room for one.

        `prefix`: of the ids that `EventIndex` numbers, so that they take no memory.
        """
        raise NotImplementedError


class MemoryStore(LogStore):
    """Logs in the memory of this process, within one budget.

    `evict` is called where it is used up: it closes logs that are needed least, such as
    those of streams that have ended, one or more at a time. Then the largest logs lose
    their older half.
    """

    __slots__ = ("budget",)

    def __init__(self, max_bytes: int, evict: Callable[[], object]) -> None:
        self.budget = Budget(max_bytes, evict)

    @property
    def used(self) -> int:
        return self.budget.used

    @property
    def max_bytes(self) -> int:
        """The budget."""
        return self.budget.max_bytes

    def open(self, max_bytes: int, prefix: bytes | None = None) -> StreamLog | None:
        return self.budget.open(max_bytes, prefix)

    def open_stored(
        self, max_bytes: int, prefix: bytes | None = None
    ) -> StoredLog | None:
        """As `open`: a log that can be written to a shared store, too."""
        log = StoredLog(self.budget, max_bytes, prefix)
        return log if self.budget.take_in(log) else None
