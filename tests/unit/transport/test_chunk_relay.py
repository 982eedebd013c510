"""The short way of a whole chunk: the same bytes, the same account, no other."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from proxy.timeline import Timeline
from tests.support.memory import MemoryProxy
from tests.support.messages import GET, STREAM

# Reads, each of one chunk as we write it, and the same in other words.
OWN = [b"5\r\nhello\r\n", b"10\r\n" + b"x" * 16 + b"\r\n", b"1\r\n\n\r\n"]
OTHER = [b"05\r\nhello\r\n", b"10;a\r\n" + b"x" * 16 + b"\r\n", b"0001\r\n\n\r\n"]


@dataclass
class Ticking:
    """A clock that goes on a second whenever it is looked at."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def relayed(reads: list[bytes]) -> tuple[bytes, Timeline]:
    """What the client gets of a stream, and its account."""
    proxy = MemoryProxy()
    proxy.client.receive(GET)
    (upstream,) = [each for each in proxy.upstreams if each.written]
    upstream.receive(STREAM)
    proxy.client.written = b""
    exchange = proxy.client_connection.exchange
    timeline: Timeline = exchange.timeline  # type: ignore[union-attr]
    relay = upstream.connection.receiver
    relay.clock = Ticking()  # type: ignore[union-attr]
    for read in reads:
        upstream.receive(read)
    written = proxy.client.written
    proxy.stop()
    return written, timeline


MARKS = ("longest_hold", "bytes_sent")
CALL_MARKS = ("first_byte", "last_piece", "silent_since", "longest_gap", "pieces")


async def test_its_bytes_and_its_account_are_those_of_the_long_way() -> None:
    written, timeline = relayed(OWN)
    other, others = relayed(OTHER)
    assert written == other == b"".join(OWN)
    for mark in MARKS:
        assert getattr(timeline, mark) == getattr(others, mark), mark
    for mark in CALL_MARKS:
        assert getattr(timeline.call, mark) == getattr(others.call, mark), mark
    assert (timeline.call.pieces, timeline.bytes_sent) == (3, 22)
    assert (timeline.longest_hold, timeline.call.longest_gap) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("before", "read", "written"),
    [
        pytest.param([], b"5\r\nhelloXX", b"5\r\nhello\r\n", id="no CRLF"),
        pytest.param([], b"5\r\nhello!\r\n", b"5\r\nhello\r\n", id="a byte too many"),
        pytest.param([], b"6\r\nhello\r\n", b"6\r\nhello\r\r\n", id="a byte too few"),
        pytest.param([], b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n",
                     id="the end with it"),
        pytest.param([b"b\r\n"], b"5\r\nhello\r\n", b"a\r\n5\r\nhello\r\n\r\n",
                     id="within a chunk"),
        pytest.param([b"0"], b"5\r\nhello\r\n", b"5\r\nhello\r\n",
                     id="within a chunk-size line"),
        pytest.param([b"5\r\nhello"], b"5\r\nhello\r\n", b"5\r\nhello\r\n",
                     id="where a CRLF is due"),
        pytest.param([], b"0\r\n\r\n", b"0\r\n\r\n", id="the last chunk"),
        pytest.param([], b"f\r\n" + b"x" * 16 + b"\r\n", b"f\r\n" + b"x" * 15 + b"\r\n",
                     id="as long as no chunk is"),
        pytest.param([], b"\n" + b"x" * 18 + b"\r\n", b"", id="and without a line"),
    ],
)  # fmt: skip
async def test_only_a_whole_chunk_where_one_is_due_goes_that_way(
    before: list[bytes], read: bytes, written: bytes
) -> None:
    told, _ = relayed([*before, read])
    assert told == written
