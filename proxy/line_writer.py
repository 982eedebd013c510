"""Lines for a log, a terminal or a pipe, written by a thread of their own.

A pipe that nobody reads, a terminal that was stopped and a slow disk block who
writes to them, and an event loop that blocks serves nobody. So a line goes into a
bounded queue, and a thread writes what is there. What has no room is dropped,
counted and told. Lines come out whole and in their order.

To wake a thread costs more than to make a line. So it is woken for the first line
after a silence only; while lines keep coming it looks for them every few
milliseconds.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Protocol, TextIO

LIMIT = 4 * 1024 * 1024  # characters that may wait: 25,000 lines of an access log
BATCH = 256 * 1024  # characters at once; for each batch the thread may wait 5 ms
PAUSE_SECONDS = 0.005  # between two batches: so long may a line wait behind others
RETRY_SECONDS = 0.5  # after a fault that may pass: a full disk
GONE = (errno.EPIPE, errno.EBADF)  # nobody will ever read it

Tell = Callable[[str], object]


# A terminal obeys what it is shown, and who reads a log takes each line for one of
# ours. So what peers may have had a hand in is made safe: what cannot be seen is
# written by its number, as Python writes it: `\x1b`, `\n`, `\u202e`.


def one_line(text: str) -> str:
    """The same text on one line, with nothing in it that a terminal obeys."""
    return text if text.isprintable() else "".join(map(visible, text))


def visible(character: str) -> str:
    """A character, or how it is written where it cannot be seen."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def excerpt(text: str, most: int) -> str:
    """The beginning of a text, on one line; of longer ones so many characters."""
    safe = one_line(text[: most + 1])
    return safe if len(safe) <= most else f"{safe[:most]}…"


class LineStream(Protocol):
    """What lines are written to: a `LineWriter`, or any text stream."""

    def write(self, text: str, /) -> object:
        """Write a line, or several whole ones."""

    def flush(self) -> object:
        """Keep nothing back."""


class LineWriter:
    """Writes to one descriptor. `write` never blocks and never raises.

    `tell` is told what was dropped, and why; without it the place says so itself.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        encoding: str = "utf-8",
        tell: Tell | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.pid = os.getpid()  # a fork takes the writer along, but not its thread
        self.descriptor = descriptor
        self.name = name
        self.encoder = codecs.getincrementalencoder(encoding)("backslashreplace")
        self.tell = tell
        self.spoken: Callable[[str], str] = str  # how it says something itself
        self.limit = limit
        self.dropped = 0  # lines, since the process began
        self.missing = 0  # of them, those that were not told of yet
        self.full = False
        self.gone = False
        self.failing = False
        self.put = self.taken = 0  # characters
        self.accepted = self.written = 0  # lines, or several that came at once
        self.lines: list[str] = []  # that nobody has taken yet
        self.bell: SimpleQueue[None] = SimpleQueue()  # wakes the thread
        self.asleep = False  # until it is rung; else the thread looks by itself
        self.ending = False  # once all is written
        # Not a simple lock: a collector of garbage may log in the middle of a write.
        self.lock = threading.RLock()
        self.thread: threading.Thread | None = None

    # -- by whoever has something to say

    def write(self, text: str) -> int:
        """Have a line written soon."""
        with self.lock:
            waiting = self.put - self.taken
            if self.full and 2 * waiting <= self.limit:
                self.caught_up()
            if self.gone or self.full or (waiting and waiting > self.limit):
                self.drop(text)
                return len(text)
            self.put += len(text)  # as `add`, without a call
            self.accepted += 1
            self.lines.append(text)
            if self.thread is None:
                self.begin()
            elif self.asleep:
                self.asleep = False
                self.bell.put(None)
        return len(text)

    def add(self, text: str) -> None:
        """Take a line in."""
        self.put += len(text)
        self.accepted += 1
        self.lines.append(text)

    def flush(self) -> None:
        """Lines are on their way as soon as they are here."""

    def drop(self, text: str) -> None:
        """There is no room for a line."""
        lines = text.count("\n") or 1
        self.dropped += lines
        self.missing += lines
        if not self.full and not self.gone:
            self.full = True
            if self.tell is not None:
                self.tell(
                    f"{self.name} is read more slowly than it is written: lines are "
                    "dropped until the reader catches up"
                )

    def caught_up(self) -> None:
        """There is room again: tell what is missing, where it is."""
        self.full = False
        lines, self.missing = self.missing, 0
        told = f"{lines} lines of {self.name} were dropped: the reader is too slow"
        if self.tell is not None:
            self.tell(told)
        else:
            self.add(self.spoken(told) + "\n")

    def begin(self) -> None:
        """Start the thread; where none can be had now, the next line tries again."""
        thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        with contextlib.suppress(RuntimeError):
            thread.start()
            self.thread = thread

    def finish(self, seconds: float) -> bool:
        """Wait until all is written, but no longer; False if something is left.

        The thread ends with it. Another line would start another one.
        """
        thread = self.thread
        if thread is None or self.pid != os.getpid():
            return True
        with self.lock:
            self.ending = True
            self.bell.put(None)
        thread.join(seconds)
        return not thread.is_alive()

    @property
    def left(self) -> int:
        """How many lines are dropped if the process ends now."""
        return self.missing + self.accepted - self.written

    # -- by the thread

    def run(self) -> None:
        """Write what there is, in batches, until told to end."""
        while True:
            with self.lock:
                self.asleep = not self.lines  # first: a line may come in between
                lines, self.lines = self.lines, []
                if not lines and self.ending:
                    self.ending, self.thread = False, None
                    return
            for batch in batches(lines):
                if not self.gone:
                    self.write_out("".join(batch))
                self.taken += sum(map(len, batch))
                self.written += len(batch)
            if not self.ending:
                with contextlib.suppress(Empty):
                    self.bell.get(timeout=PAUSE_SECONDS if lines else None)

    def write_out(self, text: str) -> None:
        """Write all of it, however long that takes."""
        data = memoryview(self.encoder.encode(text))
        while data:
            try:
                size = os.write(self.descriptor, data)
                data = data[size:]
                self.failing = False
            except BlockingIOError:  # someone else has made it so
                time.sleep(RETRY_SECONDS / 10)
            except OSError as error:
                if error.errno in GONE:
                    self.is_gone(text, error)
                    return
                self.fails(error)
                time.sleep(RETRY_SECONDS)

    def is_gone(self, text: str, error: OSError) -> None:
        """Nobody reads it, and nobody will."""
        with self.lock:
            self.gone = True
            self.dropped += text.count("\n")
        if self.tell is not None:
            reason = error.strerror
            self.tell(
                f"{self.name} can no longer be written: {reason}; further lines are "
                "dropped"
            )

    def fails(self, error: OSError) -> None:
        """It cannot be written at the moment."""
        if not self.failing and self.tell is not None:
            self.tell(f"{self.name} cannot be written: {error.strerror}; retrying")
        self.failing = True


def batches(lines: list[str]) -> Iterator[list[str]]:
    """The same lines, up to so many characters at once."""
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


WRITERS: dict[str, LineWriter] = {}  # of this process, by what is written


def line_writer(
    stream: TextIO, key: str, name: str, tell: Tell | None = None
) -> LineStream:
    """What writes lines to where a stream does, the same for the same key.

    A stream that is none of the system's is written to as it is.
    """
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (AttributeError, OSError, ValueError):
        return stream
    known = WRITERS.get(key)
    if known is not None and (known.pid, known.descriptor) == (os.getpid(), descriptor):
        return known  # two threads would mix their lines up
    WRITERS[key] = LineWriter(descriptor, name, stream.encoding, tell)
    return WRITERS[key]


def settle(seconds: float) -> None:
    """Have lines written and threads ended, if that takes no longer."""
    for writer in WRITERS.values():
        writer.finish(seconds)


def finish(seconds: float) -> None:
    """The process ends: have all lines written, or tell how many are not."""
    # What is told of the others is one of the events, which come last.
    for writer in sorted(WRITERS.values(), key=lambda each: each.tell is None):
        if not writer.finish(seconds) and writer.tell is not None:
            writer.tell(
                f"{writer.left} lines of {writer.name} were dropped at exit: the "
                "reader is too slow"
            )
