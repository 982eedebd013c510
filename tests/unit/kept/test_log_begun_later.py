"""A log that begins in the middle of a stream answers as one that has all of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.store_lookup import knows
from proxy.kept.memory_log import Budget
from proxy.kept.stored_log import StoredLog
from proxy.stream.event_index import EventIndex

PREFIX = b"0-" + b"a" * 32 + b"."
TEXTS = st.lists(
    st.sampled_from(
        [b"data: x\n\n", b": c\n\n", b"event: e\ndata: a line\ndata: b\n\n"]
    ),
    min_size=1,
    max_size=12,
)


def log(prefix: bytes | None) -> StoredLog:
    return StoredLog(Budget(1 << 20, lambda: None), 1 << 19, prefix)


def filled(texts: list[bytes], prefix: bytes | None) -> StoredLog:
    """As the process has it that reads the upstream."""
    index, made = EventIndex(lines=False, prefix=prefix), log(prefix)
    for text in texts:
        made.append(index.scan(text), index.cuts)
    return made


def begun_at(whole: StoredLog, position: int, cuts: list[int]) -> StoredLog:
    """As another one has it, which reads from a position on."""
    made = log(whole.prefix or None)
    at_cut = whole.is_cut(position)
    made.begin_at(position, whole.events_before(position), at_cut=at_cut)
    index = EventIndex(lines=False, prefix=None)
    if position:
        index.begin_later(between=at_cut)
    data = whole.read(position, 1 << 20)
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in pairwise(edges):
        piece = index.scan(data[start:end])
        assert piece == data[start:end]
        made.append(piece, index.cuts)
    return made


@pytest.mark.parametrize("prefix", [PREFIX, None], ids=["ours", "none"])
@given(texts=TEXTS, place=st.integers(0, 1000), cuts=st.lists(st.integers(0, 500)))
def test_what_is_kept_is_found_as_in_the_log_of_the_owner(
    prefix: bytes | None, texts: list[bytes], place: int, cuts: list[int]
) -> None:
    whole = filled(texts, prefix)
    position = place % (whole.end + 1)
    later = begun_at(whole, position, cuts)
    assert (later.first, later.end) == (position, whole.end)
    assert later.read(position, 1 << 20) == whole.read(position, 1 << 20)
    # Of an event whose beginning is missing, the end may not be seen.
    begins = position if whole.is_cut(position) else whole.cut_at_or_after(position)
    if prefix is not None and begins is not None:
        for number in range(1, whole.events_before(whole.end) + 1):
            id = b"%b%d" % (prefix, number)
            found = whole.after_id(id)
            assert found is not None
            if found != begins or found == position:
                expected = found if found >= position else None
                if number == whole.events_before(position) and whole.is_cut(position):
                    expected = position  # between the two there are comments only
                assert later.after_id(id) == expected, (number, found, position)
        last = whole.events_before(whole.end)
        for number in range(1, last + 1):  # one that is known is there, or was
            id = b"%b%d" % (prefix, number)
            was = number <= whole.events_before(position)
            if was or later.after_id(id) is not None:
                assert later.has_had(id), (number, position)
        assert not later.has_had(b"%b%d" % (prefix, last + 1))
    assert not later.has_had(b"1")
    for at in range(position + 1, whole.end + 1):
        if at != begins:
            assert later.is_cut(at) == whole.is_cut(at), at
    if whole.is_cut(position):  # else what it begins in may be a comment
        assert later.events_before(later.end) == whole.events_before(whole.end)


def test_of_a_log_whose_events_were_not_counted_ids_are_found_all_the_same() -> None:
    whole = filled([b"data: x\n\n"] * 4, PREFIX)
    position = whole.after_id(PREFIX + b"2")
    assert position is not None
    made = log(PREFIX)
    made.begin_at(position, -1, at_cut=True)
    index = EventIndex(lines=False, prefix=None)
    index.begin_later(between=True)
    made.append(index.scan(whole.read(position, 1 << 20)), index.cuts)
    assert made.after_id(PREFIX + b"3") == whole.after_id(PREFIX + b"3")
    assert made.after_id(PREFIX + b"1") is None
    for number, had in ((b"1", True), (b"4", True), (b"5", False)):
        assert made.has_had(PREFIX + number) is had
        assert knows(PREFIX + number)(made) is had  # or a request waits for it
    assert made.last_events(1) == whole.last_events(1)


def test_what_goes_on_behind_a_break_is_not_taken_for_the_beginning() -> None:
    """A byte order mark counts in the first place of a stream only."""
    index = EventIndex(lines=False, prefix=None)
    index.begin_later(between=True)
    assert index.scan(b"\xef\xbb\xbfdata: x\n\n") == b"\xef\xbb\xbfdata: x\n\n"
