"""Lines for whoever reads them, slowly or not at all: nobody waits for that."""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.line_writer import WRITERS, LineWriter, finish, line_writer

GUARD = 10.0  # seconds


class Pipe:
    """A pipe, and what is read from it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.filled = 0

    def fill(self) -> None:
        """Leave no room in it."""
        os.set_blocking(self.writing, False)
        try:
            while True:
                self.filled += os.write(self.writing, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(self.writing, True)

    def read_to(self, end: bytes) -> str:
        """Read up to `end`, without what filled it."""
        received = b""
        while not received.endswith(end):
            received += os.read(self.reading, 65536)
        filled, self.filled = self.filled, 0
        return received[filled:].decode()

    def close(self) -> None:
        for descriptor in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def ended(writer: LineWriter) -> None:
    """Its thread, too."""
    assert writer.finish(GUARD)
    assert writer.thread is None


def test_lines_come_whole_and_in_their_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, "the log")
    lines = [f"line {number}\n" for number in range(3000)]
    for line in lines:
        writer.write(line)
    writer.write("end\n")
    assert pipe.read_to(b"end\n") == "".join(lines) + "end\n"
    ended(writer)
    assert writer.dropped == 0


def test_what_nobody_reads_is_dropped_counted_and_told(pipe: Pipe) -> None:
    """Every line that is written at all is whole; no write waited for the reader."""
    told: list[str] = []
    writer = LineWriter(pipe.writing, "the access log", tell=told.append, limit=1000)
    pipe.fill()
    for number in range(500):
        writer.write(f"{number:09}\n")
    assert told == [
        "the access log is read more slowly than it is written: lines are dropped "
        "until the reader catches up"
    ]
    dropped = writer.dropped
    assert 300 < dropped < 500
    first = pipe.read_to(b"%09d\n" % (500 - dropped - 1))
    ended(writer)  # all that had room is out, so there is room again
    writer.write("more\n")
    assert told[1:] == [
        f"{dropped} lines of the access log were dropped: the reader is too slow"
    ]
    assert first + pipe.read_to(b"more\n") == (
        "".join(f"{number:09}\n" for number in range(500 - dropped)) + "more\n"
    )
    ended(writer)


def test_a_log_that_can_tell_nobody_tells_it_in_its_place(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, "this log", limit=100)
    pipe.fill()
    for number in range(50):
        writer.write(f"{number:09}\n")
    dropped = writer.dropped
    before = pipe.read_to(b"%09d\n" % (50 - dropped - 1))
    ended(writer)
    writer.write("more\n")
    assert before.count("\n") == 50 - dropped
    assert pipe.read_to(b"more\n") == (
        f"{dropped} lines of this log were dropped: the reader is too slow\nmore\n"
    )
    ended(writer)


def test_a_reader_that_has_gone_stops_nothing_and_is_told_once(pipe: Pipe) -> None:
    told: list[str] = []
    writer = LineWriter(pipe.writing, "the access log", tell=told.append)
    os.close(pipe.reading)
    for _ in range(3):
        writer.write("line\n")
        ended(writer)
    assert writer.dropped == 3
    assert told == [
        "the access log can no longer be written: Broken pipe; further lines are "
        "dropped"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told_and_tried_again() -> None:
    told: list[str] = []
    heard = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        heard.set()

    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full, "the access log", tell=tell)
    writer.write("line\n")
    assert heard.wait(GUARD)
    assert told == [
        "the access log cannot be written: No space left on device; retrying"
    ]
    assert not writer.finish(0)
    assert writer.left == 1
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, full)  # the disk has room again
    assert writer.finish(GUARD)
    assert writer.left == 0
    for descriptor in (null, full):
        os.close(descriptor)


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "5µs →\n".encode()),
        ("ascii", b"5\\xb5s \\u2192\n"),
        ("cp437", b"5\xe6s \\u2192\n"),
        ("cp1252", b"5\xb5s \\u2192\n"),
        ("gbk", b"5\\xb5s \xa1\xfa\n"),
    ],
)
def test_no_encoding_keeps_a_line_out(
    pipe: Pipe, encoding: str, written: bytes
) -> None:
    writer = LineWriter(pipe.writing, "the log", encoding)
    writer.write("5µs →\n")
    ended(writer)
    assert os.read(pipe.reading, 100) == written


def test_an_encoding_with_a_mark_has_it_once(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, "the log", "utf-16")
    for _ in range(2):
        writer.write("µ\n")
        ended(writer)
    assert os.read(pipe.reading, 100).decode("utf-16") == "µ\nµ\n"


def test_the_end_waits_for_what_is_read_and_tells_what_is_not(pipe: Pipe) -> None:
    told: list[str] = []
    with open(pipe.writing, "w", closefd=False) as stream:
        writer = line_writer(stream, "test", "the access log", told.append)
        assert line_writer(stream, "test", "the access log", told.append) is writer
        assert isinstance(writer, LineWriter)
    try:
        writer.write("line\n")
        finish(GUARD)
        assert os.read(pipe.reading, 100) == b"line\n"
        assert told == []
        pipe.fill()
        for _ in range(3):
            writer.write("line\n")
        finish(0)
        assert told == [
            "3 lines of the access log were dropped at exit: the reader is too slow"
        ]
    finally:
        del WRITERS["test"]
        pipe.read_to(b"line\nline\nline\n")
        ended(writer)


def test_a_stream_that_is_not_the_systems_is_written_to_as_it_is() -> None:
    stream = io.StringIO()
    assert line_writer(stream, "test", "the log") is stream
    assert "test" not in WRITERS


def test_lines_of_several_threads_stay_whole(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, "the log")

    def write(name: str) -> None:
        for number in range(200):
            writer.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.write("end\n")
    lines = pipe.read_to(b"end\n").splitlines()
    assert all(re.fullmatch(r"[abc] \d+", line) for line in lines[:-1])
    assert len(lines) == 601
    ended(writer)


def test_lines_that_come_while_the_thread_works_wake_nobody(pipe: Pipe) -> None:
    """A wake-up costs more than a line does."""
    writer = LineWriter(pipe.writing, "the log")
    pipe.fill()
    for number in range(100):
        writer.write(f"{number}\n")
    assert writer.bell.qsize() == 0
    assert pipe.read_to(b"\n99\n") == "".join(f"{number}\n" for number in range(100))
    ended(writer)
