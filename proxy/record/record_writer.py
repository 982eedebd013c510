"""Writes records to files, by a thread of its own.

A disk that is slow, full or gone must not hold a piece. So lines go into a bounded
queue, and a thread writes what is there. What has no room is dropped, and so is all
that follows in that record: it has no hole, and its last line says how much is missing.

A file is open while it is written to only: an exchange that is recorded takes no
descriptor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from proxy.quantities import counted
from proxy.record.format import encode_dropped
from proxy.record.record_counts import RECORD_COUNTS

log = logging.getLogger("unbuffered")

LIMIT = 32 * 1024 * 1024  # bytes that may wait, of all records together
# Between two rounds: so long lines are gathered, since each file of a round is opened
# and closed. A thousand streams of 20 events a second take 0.18 of a CPU so, with
# 0.02 s 0.31.
PAUSE_SECONDS = 0.1
MOST_NAMES = 100  # that are tried for one file

APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)  # of Windows
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # that somebody has put in its place

OpenFile = Callable[[Path, bool], int]


def open_file(path: Path, new: bool) -> int:
    """Open a file for its next lines. `new`: it must not exist yet."""
    create = os.O_CREAT | os.O_EXCL if new else NO_LINK
    return os.open(path, APPEND | create, 0o600)


class RecordFile:
    """One record: what waits for it, and what is missing in it."""

    __slots__ = ("dropped", "exists", "is_complete", "path", "waiting", "was_there")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[bytes] = []
        self.dropped = 0
        self.exists = False
        self.is_complete = False  # nothing more comes
        self.was_there = False  # before: so it is not ours to delete


class RecordWriter:
    """Writes the lines of many records. `put` and `close` never block or raise."""

    def __init__(
        self,
        directory: Path,
        limit: int = LIMIT,
        open: OpenFile = open_file,
        say: Callable[[str], object] = log.warning,
    ) -> None:
        self.directory = directory
        self.limit = limit
        self.open = open
        self.say = say
        self.size = 0  # bytes that wait
        self.files: dict[RecordFile, None] = {}  # that have something to be written
        self.troubled = False  # it was told that something is dropped
        self.ending = threading.Event()
        self.condition = threading.Condition()
        self.thread: threading.Thread | None = None

    # -- by the event loop

    def put(self, file: RecordFile, lines: list[bytes]) -> None:
        """Have lines written soon."""
        size = sum(map(len, lines))
        with self.condition:
            begins_to_lack = not file.dropped and self.size + size > self.limit
            if begins_to_lack or file.dropped:  # no hole: what follows lacks as well
                self.drop(file, len(lines))
            else:
                self.size += size
                file.waiting += lines
                self.wake(file)
        if begins_to_lack:
            self.tell_slow()

    def skip(self, file: RecordFile, count: int) -> None:
        """Lines of a record that lacks others are not even made."""
        with self.condition:
            self.drop(file, count)

    def close(self, file: RecordFile) -> None:
        """Nothing more comes for a record."""
        with self.condition:
            file.is_complete = True
            self.wake(file)

    def wake(self, file: RecordFile) -> None:
        """Have the thread look at a file; if none can be had, the next call tries."""
        self.files[file] = None
        if self.thread is None:
            thread = threading.Thread(target=self.run, name="records", daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self.thread = thread
        self.condition.notify()

    def drop(self, file: RecordFile, count: int) -> None:
        """Lines of a record are not written."""
        file.dropped += count
        RECORD_COUNTS.dropped += count

    def tell(self, message: str) -> None:
        """Say once that something is dropped, until all goes well again."""
        if not self.troubled:
            self.troubled = True
            self.say(f"{message}; a record that is not whole says so at its end")

    def tell_slow(self) -> None:
        """Lines come faster than they can be written."""
        self.tell(
            f"records in {self.directory}: the disk is too slow: what has no room in "
            "memory is dropped"
        )

    def tell_failed(self, reason: str) -> None:
        """A line cannot be written."""
        self.tell(
            f"records in {self.directory} cannot be written: {reason}: what follows "
            "in them is dropped"
        )

    def tell_left(self, count: int) -> None:
        """Records that are not written to their end."""
        self.say(
            f"{counted(count, 'record')} in {self.directory} cut off: the disk is too "
            "slow"
        )

    def finish(self, seconds: float) -> bool:
        """Wait until all is written, but no longer; False if something is left."""
        thread = self.thread
        if thread is None:
            return True
        with self.condition:
            self.ending.set()
            self.condition.notify()
        thread.join(seconds)
        if not thread.is_alive():
            return True
        self.tell_left(len(self.files))
        return False

    # -- by the thread

    def run(self) -> None:
        """Write what there is, round by round."""
        while True:
            with self.condition:
                while not self.files and not self.ending.is_set():
                    self.condition.wait()
                if not self.files:
                    self.thread = None
                    self.ending.clear()
                    return
                files, self.files = self.files, {}
            for file in files:
                self.write(file)
            self.ending.wait(PAUSE_SECONDS)

    def write(self, file: RecordFile) -> None:
        """Write what waits for one record."""
        with self.condition:
            lines, file.waiting = file.waiting, []
            is_last = file.is_complete
        data = b"".join(lines)
        kept, fault = self.append(file, data) if data else (0, None)
        if fault is not None:
            self.fails(file, data[kept:], fault)
        if is_last:
            self.end(file)
        with self.condition:
            self.size -= len(data)

    def end(self, file: RecordFile) -> None:
        """Say in a record what is missing at its end, if anything is."""
        with self.condition:
            missing = file.dropped
            if not missing:
                self.troubled = False
        if missing and file.exists:
            self.append(file, encode_dropped(missing))

    def append(self, file: RecordFile, data: bytes) -> tuple[int, OSError | None]:
        """Write lines at the end of a file.

        How many bytes of whole lines it has of them then, and why not of all.
        """
        written = 0
        try:
            descriptor = self.open_for(file)
        except OSError as error:
            return 0, error
        try:
            size = os.fstat(descriptor).st_size
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError as error:
            whole = data.rfind(b"\n", 0, written) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size + whole)
                if not size + whole and not file.was_there:
                    file.path.unlink()
                    file.exists = False
            return whole, error
        finally:
            os.close(descriptor)
        return written, None

    def open_for(self, file: RecordFile) -> int:
        """Open a file; a new one by a name that no other has."""
        if file.exists:
            return self.open(file.path, False)
        stem = file.path.stem
        for number in range(1, MOST_NAMES + 1):
            try:
                descriptor = self.open(file.path, True)
            except FileExistsError:
                file.path = file.path.with_name(f"{stem}-{number}{file.path.suffix}")
            else:
                file.exists = True
                RECORD_COUNTS.records += 1
                return descriptor
        return self.open(file.path, True)

    def fails(self, file: RecordFile, rest: bytes, error: OSError) -> None:
        """The rest of what came for a record cannot be written, nor what follows."""
        with self.condition:
            self.drop(file, rest.count(b"\n") + len(file.waiting))
            self.size -= sum(map(len, file.waiting))
            file.waiting = []
        self.tell_failed((error.strerror or str(error)).lower())
