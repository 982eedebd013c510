"""Every frame right: what a client sends, cut at every byte, for each case in `cases`.

Each case is followed, in the same bytes, by one more request. It is served, unless the
connection has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.unit.http2.cases import connection, content, headers, settings, streams
from tests.unit.http2.cases.model import FrameCase
from tests.unit.http2.recording import Recorder, singles
from tests.unit.http2.recording import headers as headers_frame

CASES = [
    *connection.CASES,
    *settings.CASES,
    *headers.CASES,
    *streams.CASES,
    *content.CASES,
]
SOURCE = re.compile(r"RFC \d+ §|CVE-\d+-")
NEXT = 2**31 - 3
NEXT_SERVED = f"{NEXT} POST /p complete"
MOST_CUTS = 600


def named(case: FrameCase) -> str:
    return f"{case.source}: {case.name}"


def test_there_are_more_than_a_hundred_cases_and_each_has_its_name() -> None:
    names = [named(case) for case in CASES]
    assert len(CASES) > 100
    assert len(names) == len(set(names))
    assert all(SOURCE.match(case.source) for case in CASES)


def outcome(parts: list[bytes]) -> tuple[list[str], list[str]]:
    """What the owners were told, and what was written after our own preface."""
    recorder = Recorder()
    recorder.sent()
    recorder.feed(parts)
    return recorder.log, recorder.sent()


def cuts(sent: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and at each place; in long content at some."""
    yield [sent]
    yield list(singles(sent))
    step = len(sent) // MOST_CUTS + 1
    for place in range(1, len(sent), step):
        yield [sent[:place], sent[place:]]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_case(case: FrameCase) -> None:
    log, wrote = outcome([case.bytes + headers_frame(NEXT, end=True)])
    if case.fault:
        assert log.pop().startswith(f"{case.fault}: ")
        assert re.fullmatch(rf"GOAWAY \d+ {case.fault}", wrote.pop())
    else:
        assert log.pop() == NEXT_SERVED
    assert log == list(case.log)
    acked = [] if case.bare else ["SETTINGS ACK"]
    assert wrote == [*acked, *case.wrote]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_case_cut_at_every_byte(case: FrameCase) -> None:
    sent = case.bytes + headers_frame(NEXT, end=True)
    whole = outcome([sent])
    for parts in cuts(sent):
        assert outcome(parts) == whole, len(parts[0])
