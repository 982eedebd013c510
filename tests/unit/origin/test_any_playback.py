"""Any record, to a client that sends its request in any pieces."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.fault_options import parse_fault
from proxy.http1.framing import response_body
from proxy.http1.head import parse_response_head
from proxy.record.format import RequestComplete, UpstreamEnd
from tests.support.records import got, head, record, sent
from tests.unit.origin.test_playback import Stage

FRAMINGS = ("chunked", "length", "close")
# Faults that change the splits and the times, and nothing else.
HARMLESS = ("drip,size=3", "split", "coalesce,size=16", "late_head,seconds=0.01")
MARKS = (b"<FIN>", b"<reset>")  # what is not data; a piece may begin alike
ENDS: tuple[UpstreamEnd, ...] = ("complete", "fin", "reset", "open")
PIECES = st.lists(
    st.tuples(
        st.integers(0, 50_000),
        st.binary(min_size=1, max_size=40).filter(lambda data: data not in MARKS),
    ),
    max_size=12,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in pieces."""
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[one:other] for one, other in pairwise(at)]


@given(
    pieces=PIECES,
    body=st.binary(max_size=30),
    framing=st.sampled_from(FRAMINGS),
    end=st.sampled_from(ENDS),
    places=st.lists(st.integers(0, 1000), max_size=5),
    speed=st.sampled_from([None, 0.5, 1.0, 3.0]),
    fault=st.sampled_from([None, None, *HARMLESS]),
)
def test_it_comes_as_it_was(
    pieces: list[tuple[int, bytes]],
    body: bytes,
    framing: Any,
    end: UpstreamEnd,
    places: list[int],
    speed: float | None,
    fault: str | None,
) -> None:
    at = 100
    items: list[Any] = [got(50, body), RequestComplete(60)] if body else []
    items.append(head(at, framing))
    due = []
    for gap, data in pieces:
        at += gap
        items.append(sent(at, data))
        due.append((at, data))
    played = record(*items, end=end, at=at + 7, method="POST")
    request = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"

    async def play() -> list[tuple[float, bytes]]:
        faults = [parse_fault(f"kind={fault}")] if fault is not None else []
        stage = Stage(played, speed=speed, faults=faults)
        for part in cut(request % (len(body), body), places):
            stage.send(part)
        written = []
        while (when := stage.timer.next_due) is not None:
            stage.timer.advance_to(when)
            written += [(when, each) for each in stage.out.taken()]
        assert stage.origin.requests[0].body == body
        return written

    written = asyncio.run(play())
    stream = b"".join(each for _, each in written if each not in MARKS)
    first, _, rest = stream.partition(b"\r\n\r\n")
    reader = response_body(parse_response_head(first + b"\r\n\r\n"), b"POST")
    assert reader.feed(rest) == b"".join(data for _, data in due)
    assert reader.complete is (
        (end == "complete" and framing == "chunked") or framing == "length"
    )
    marks = [each for _, each in written if each in MARKS]
    fin = end == "fin" or (end == "complete" and framing == "close")
    assert marks == [b"<FIN>"] * fin + [b"<reset>"] * (end == "reset")
    if speed is not None and fault is None:  # at its time, each in a write
        sent_at = [when for when, each in written if each not in MARKS]
        expected = [round(each / 1_000_000 / speed, 6) for each, _ in due]
        found = [round(when, 6) for when in sent_at]
        assert all(found.count(when) >= 1 for when in expected)
        assert len(found) >= len(due)
