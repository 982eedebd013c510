"""What this process has recorded since it began, for its metrics."""

from __future__ import annotations


class RecordCounts:
    """`dropped`: lines that a disk was too slow or too full for."""

    __slots__ = ("dropped", "records")

    def __init__(self) -> None:
        self.records = self.dropped = 0


RECORD_COUNTS = RecordCounts()
