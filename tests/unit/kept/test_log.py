"""What a log and its store cost: memory, measured, and steps, counted."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from proxy.internal_errors import INTERNAL_ERRORS
from proxy.kept.log import StreamLog
from proxy.kept.store import MemoryStore
from proxy.stream.event_index import NO_EVENT, Cut, EventIndex
from tests.support.steps import steps

PREFIX = b"1-0123456789abcdef0123456789abcdef."
MAX_BYTES = 100_000
CONSTANT = 40_000  # bytes: of one read and its cuts
Piece = tuple[bytes, list[Cut]]


def nothing() -> None:
    """There is no log that is needed less."""


def opened(
    max_bytes: int, prefix: bytes | None = None
) -> tuple[MemoryStore, StreamLog]:
    store = MemoryStore(10_000_000, nothing)
    log = store.open(max_bytes, prefix)
    assert log is not None
    return store, log


def pieces_of(kind: str) -> Iterator[Piece]:
    """Twice as much as may be kept."""
    event = {
        "tiny": b"d\n\n",
        "tiny, with ids": b"id:%d\nd\n\n",
        "long ids": b"id:%0500d\n\n",
        "of 200 bytes": b"data: " + b"x" * 192 + b"\n\n",
        "comments": b":\n\n",
        "large": b"data: " + b"x" * 10_000 + b"\n\n",
        "endless": b"x" * 10_000,
        "of half the log": b"x" * (MAX_BYTES // 2) + b"\n\n",
    }[kind]
    index = EventIndex(lines=False, prefix=None)
    sent = number = 0
    while sent < 2 * MAX_BYTES:
        piece = index.scan(event % number if b"%" in event else event)
        yield piece, index.cuts
        sent += len(piece)
        number += 1


KINDS = ["tiny", "tiny, with ids", "long ids", "of 200 bytes", "comments", "large",
         "endless", "of half the log"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_takes_no_more_memory_than_it_may(kind: str) -> None:
    """Cuts and ids included; and all is given back when it is closed."""
    store, log = opened(MAX_BYTES)
    for piece, cuts in pieces_of(kind):  # what is made once, is
        log.append(piece, cuts)
        break
    gc.collect()
    tracemalloc.start()
    try:
        for piece, cuts in pieces_of(kind):
            log.append(piece, cuts)
        del piece, cuts
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 1.25 * MAX_BYTES + CONSTANT
        assert MAX_BYTES // 3 < log.bytes_used <= MAX_BYTES
        log.close()
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
        assert now < CONSTANT  # of the interpreter, which differs by version
    finally:
        tracemalloc.stop()
    assert store.used == 0


def test_when_the_budget_is_used_up_what_is_needed_least_goes_first() -> None:
    ended: list[StreamLog] = []
    store = MemoryStore(300_000, lambda: ended.pop(0).close() if ended else None)
    logs = [store.open(1_000_000) for _ in range(3)]
    first, second, third = logs
    assert first
    assert second
    assert third
    first.append(b"a" * 100_000, [(100_000, None)])
    second.append(b"b" * 10_000, [(10_000, None)])
    ended.append(first)
    for _ in range(15):
        third.append(b"c" * 10_000, [(10_000, None)])
    assert not ended
    assert first.bytes_used == 0
    assert second.first == third.first == 0
    for _ in range(25):
        third.append(b"c" * 10_000, [(10_000, None)])
    assert second.first == 0
    assert third.first > 0
    assert third.is_cut(third.first)
    assert store.used <= store.max_bytes


def test_a_budget_that_is_used_up_opens_no_further_log() -> None:
    store = MemoryStore(50_000, nothing)
    logs = [store.open(10_000) for _ in range(50)]
    assert logs[0] is not None
    assert logs[-1] is None
    assert store.used <= 50_000
    for log in filter(None, logs):
        log.append(b"x" * 9000, [(9000, None)])
        log.close()
    assert store.used == 0


def test_a_fault_of_eviction_does_not_reach_who_appends() -> None:
    def evict() -> None:
        raise ValueError("eviction")

    store = MemoryStore(50_000, evict)
    log = store.open(1_000_000)
    assert log is not None
    place = "making room for the logs of streams"
    before = INTERNAL_ERRORS.counts[place]
    for _ in range(20):
        log.append(b"x" * 9000, [(9000, None)])
    assert INTERNAL_ERRORS.counts[place] > before
    assert log.end == 180_000
    assert 0 < log.bytes_used < 50_000


def test_an_id_is_found_by_its_number_without_memory_for_it() -> None:
    _, log = opened(100_000, PREFIX)
    index = EventIndex(lines=False, prefix=PREFIX)
    for _ in range(3000):
        piece = index.scan(b"data: x\n\n")
        log.append(piece, index.cuts)
    assert log.first > 0
    assert log.after_id(PREFIX + b"3000") == log.end
    assert log.after_id(PREFIX + b"2999") == log.end - len(piece)
    for wrong in (b"1", b"0", b"-1", b"3001", b"03000", b"", b"3000 1", b"9" * 400):
        assert log.after_id(PREFIX + wrong) is None
    log.append(b"id: 7\n\n", [(7, b"7")])
    log.append(b"\n", [(1, NO_EVENT)])
    assert log.after_id(b"7") == log.end - 1
    assert log.after_id(PREFIX + b"3000") == log.end - 8
    assert log.bytes_used > 80_000


def test_spaces_around_an_id_do_not_count() -> None:
    """A field of a request, by which a client comes back, has none."""
    _, log = opened(100_000)
    log.append(b"id:  7 \n\n", [(9, b" 7 ")])
    assert log.after_id(b"7") == log.after_id(b" 7 ") == 9


def test_of_an_event_that_is_too_long_the_end_is_kept() -> None:
    """Whoever reads it a little late still gets all of it."""
    _, log = opened(MAX_BYTES)
    for _ in range(50):
        log.append(b"x" * 10_000, [])
        assert log.bytes_used >= min(log.end, MAX_BYTES * 3 // 4)
    assert log.last_events(0) is None
    assert log.cut_at_or_after(0) is None
    assert log.roll_back() == log.first
    log.append(b"x" * 2 * MAX_BYTES, [(2 * MAX_BYTES, None)])
    assert log.bytes_used >= MAX_BYTES * 3 // 4
    assert log.last_events(0) == log.end


# -- steps


# In Python 3.11, which has the most: 54, 79, 61, 70 and 38.
SCAN, SCAN_WITH_ID, APPEND, APPEND_WITH_ID, APPEND_EVENT = 57, 82, 64, 73, 40


@pytest.mark.parametrize(
    ("prefix", "scan", "append"),
    [
        pytest.param(None, SCAN, APPEND, id="as it is"),
        pytest.param(PREFIX, SCAN_WITH_ID, APPEND_WITH_ID, id="numbered"),
    ],
)
def test_a_plain_event_takes_few_steps(
    prefix: bytes | None, scan: int, append: int
) -> None:
    _, log = opened(1_000_000, prefix)
    index = EventIndex(lines=False, prefix=prefix)
    event = b"data: " + b"x" * 150 + b"\n\n"
    for _ in range(200):  # much is there, so that it is not counted for each piece
        log.append(index.scan(event), index.cuts)
    piece = b""

    def scan_it() -> None:
        nonlocal piece
        piece = index.scan(event)

    assert steps(scan_it) < scan
    # One in about thirty counts the memory.
    assert (
        sorted(steps(lambda: log.append(piece, index.cuts)) for _ in range(9))[4]
        < append
    )
    numbered = prefix is not None
    assert (
        sorted(steps(lambda: log.append_event(piece, numbered)) for _ in range(9))[4]
        < APPEND_EVENT
    )
