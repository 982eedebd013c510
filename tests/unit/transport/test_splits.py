"""Read boundaries carry no meaning: each case of `test_bytes`, cut at any place.

A proxy that judges a message by how it happens to be cut into segments is two
parsers in one. Here the cases pass through in memory: whole, in two parts at
each position (`places`), byte by byte, and (Hypothesis) in any parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ManualClock
from tests.support.memory import MemoryProxy, joined, whole_requests
from tests.support.thorough import thorough
from tests.wire.cases.compare import own_request, own_responses
from tests.wire.cases.model import RequestCase, ResponseCase
from tests.wire.test_bytes import (
    LAST,
    NEXT,
    NEXT_SEEN,
    OK,
    REQUESTS,
    RESPONSES,
    check_answers,
    named,
)

CUT = [case for case in RESPONSES if case.sent]
LONG, MANY = 500, 50_000  # bytes; longer cases are cut at fewer places


def parts_of(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data cut at some places."""
    edges = sorted({0, len(data), *places})
    return [data[start:stop] for start, stop in pairwise(edges)]


def cuts(data: bytes, size: int) -> Iterator[list[bytes]]:
    """Cut once at each place below `size`, and at all of them."""
    for place in places(data, size):
        yield parts_of(data, [place])
    if size < LONG:
        yield parts_of(data, range(size))


def places(data: bytes, size: int) -> Iterable[int]:
    """All of them; in a long case a few, and in a hurry those beside CR and LF."""
    if size >= LONG:
        few = 40 if size < MANY else 10
        return [*range(2 * few), *range(0, size, size // few)]
    if thorough():
        return range(size)
    return [
        place
        for place in range(size)
        if place % 5 == 0 or data[place - 1] in b"\r\n" or data[place] in b"\r\n"
    ]


def still() -> MemoryProxy:
    """A proxy for which no time passes: some verdicts are those of a rate."""
    return MemoryProxy(clock=ManualClock())


# -- requests


def check_request(proxy: MemoryProxy, case: RequestCase, parts: list[bytes]) -> None:
    """The verdict of the case, whatever the parts."""
    answered = 0
    for part in parts:
        proxy.client.receive(part)
        for server in proxy.upstreams:
            while len(whole_requests(server.written)) > answered and not server.closed:
                answered += 1
                server.receive(OK)
    used = [each for each in proxy.upstreams if each.written]
    seen = [request for each in used for request in whole_requests(each.written)]
    if case.status:
        assert proxy.client.written.startswith(b"HTTP/1.1 %d " % case.status)
        assert seen == []
        assert all(each.closed for each in used)
    else:
        assert len(used) == 1
        assert [*map(own, seen)] == [case.seen, NEXT_SEEN][: 1 if case.closes else 2]
        assert proxy.client.written.count(b"HTTP/1.1 200 OK\r\n") == len(seen)
        assert proxy.client.written.endswith(b"\r\nConnection: close\r\n\r\nlast")
    assert proxy.client.finished or proxy.client.closed
    proxy.begin_again()


def own(request: bytes) -> bytes:
    """A request as the case writes it down."""
    head, end, body = request.partition(b"\r\n\r\n")
    return own_request(head + end) + body


@pytest.mark.parametrize("case", REQUESTS, ids=named)
async def test_request_cut_at_every_place(case: RequestCase) -> None:
    proxy = still()
    for parts in cuts(case.sent + NEXT, len(case.sent)):
        check_request(proxy, case, parts)
    proxy.stop()


@given(case=st.sampled_from(REQUESTS), places=st.lists(st.integers(0, 4000)))
async def test_request_in_any_parts(case: RequestCase, places: list[int]) -> None:
    data = case.sent + NEXT
    proxy = still()
    check_request(proxy, case, parts_of(data, [place % len(data) for place in places]))
    proxy.stop()


# -- responses


def check_response(proxy: MemoryProxy, case: ResponseCase, parts: list[bytes]) -> None:
    """The verdict of the case, whatever the parts."""
    proxy.client.receive(case.request + NEXT)
    (server,) = proxy.open_upstreams
    first = len(server.written)
    for part in parts:
        server.receive(part)
    if case.then != "stays":
        server.end(ConnectionResetError() if case.then == "reset" else None)
    timeline = proxy.timelines[0]
    assert (timeline.error.type if timeline.error else "") == case.error
    last = b""
    if not (case.aborted or case.closes):
        last = LAST
        used = [
            each
            for each in proxy.open_upstreams
            if each.written[first:] or each is not server
        ]
        (again,) = used
        assert (again is server) is case.reused
        again.receive(OK)
    assert server.closed is not case.reused
    answers = proxy.client.written
    if case.status:
        check_answers(case, answers, last)
    else:
        assert joined(own_responses(answers)) == joined(case.received + last)
    assert proxy.client.finished or proxy.client.closed
    proxy.begin_again()


def size_of(case: ResponseCase) -> int:
    """Where it may be cut: bytes that come once the next request has gone out
    are the response to that one, as far as anybody can tell."""
    return len(case.sent) - case.extra


@pytest.mark.parametrize("case", CUT, ids=named)
async def test_response_cut_at_every_place(case: ResponseCase) -> None:
    proxy = still()
    for parts in cuts(case.sent, size_of(case)):
        check_response(proxy, case, parts)
    proxy.stop()


@given(case=st.sampled_from(CUT), places=st.lists(st.integers(0, 4000)))
async def test_response_in_any_parts(case: ResponseCase, places: list[int]) -> None:
    size = size_of(case)
    proxy = still()
    places = [place % size for place in places]
    check_response(proxy, case, parts_of(case.sent, places))
    proxy.stop()
