"""A file of either kind: one record, or a HAR with many entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import DecodeError, json

from proxy.record.format import ExchangeRecord, RecordFault
from proxy.record.har_reader import HarFile
from proxy.record.record_reader import BOM, read_record


class CaptureEntry(NamedTuple):
    """An exchange of a file. `number`: of its entry in a HAR; 0: it is a record."""

    number: int
    record: ExchangeRecord


class CaptureFile:
    """A file with one exchange, or with many.

    `har`: is it one? Raises RecordFault if it is neither.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.har: HarFile | None = None
        self.single: ExchangeRecord | None = None
        if is_record(data):
            self.single = read_record(data, name)
        else:
            self.har = HarFile(data, name)

    def captures(
        self, only: int = 0, left_out: Callable[[RecordFault], None] | None = None
    ) -> Iterator[CaptureEntry]:
        """Its exchanges by HTTP, or the one in the entry of that number.

        `left_out` is told of each entry that is not valid; the others are read.

        Raises:
            RecordFault: one of them is not valid, and nobody would be told; or there
                is no such entry.
        """
        if only and self.har is None:
            raise RecordFault(f"{self.name} is a record: it has no entry {only}")
        if self.single is not None:
            yield CaptureEntry(0, self.single)
        if self.har is None:
            return
        numbers = [only] if only else range(1, len(self.har.entries) + 1)
        for number in numbers:
            try:
                record = self.har.record(number)
            except RecordFault as fault:
                if only or left_out is None:
                    raise
                left_out(fault)
                continue
            if record is not None:
                yield CaptureEntry(number, record)
            elif only:
                url = self.har.entry(number).request.url
                raise self.har.fault(
                    number, f"request.url: {url[:40]!r} is not an HTTP address"
                )


def is_record(data: bytes) -> bool:
    """Lines of JSON, or one object that has a "log"? A HAR may be on one line, too."""
    line = data.removeprefix(BOM).lstrip().partition(b"\n")[0]
    if not line:
        return True  # of which its reader says that it is empty
    if line.translate(None, b" \t\r").startswith(b'{"log":'):
        return False
    try:
        table = json.decode(line)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return line.translate(None, b" \t\r").startswith(b'{"unbuffered":')
    return not isinstance(table, dict) or "log" not in table
