"""Every byte right: raw bytes in, raw bytes out, for each case in `cases`.

Each case is followed, in the same bytes, by one more request. It tells whether
the case was understood as it should be: after a refused request it is never
served, and after any other it is served as itself, on the right connection.
"""

from __future__ import annotations

import re

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import Peer, Upstream
from tests.support.running import RunningProxy
from tests.wire.cases import (
    request_chunks,
    request_connections,
    request_heads,
    request_lengths,
    request_targets,
    response_bodies,
    response_ends,
    response_heads,
    response_interim,
)
from tests.wire.cases.compare import own_request, own_responses
from tests.wire.cases.model import GET_1_0, RequestCase, ResponseCase, raw

pytestmark = pytest.mark.any_loop

REQUESTS = [
    *request_heads.CASES,
    *request_targets.CASES,
    *request_lengths.CASES,
    *request_chunks.CASES,
    *request_connections.CASES,
]
RESPONSES = [
    *response_heads.CASES,
    *response_interim.CASES,
    *response_bodies.CASES,
    *response_ends.CASES,
]
# An RFC, an advisory, or a project whose tests or faults it comes from.
SOURCE = re.compile(r"RFC \d+ §|CVE-\d+-|GHSA-|h2c |[\w, ]+: ")
NEXT = raw(b"GET /next HTTP/1.1", b"Host: next", b"Connection: close")
NEXT_SEEN = raw(b"GET /next HTTP/1.1", b"Host: next")
OK = raw(b"HTTP/1.1 200 OK", b"Content-Length: 4", body=b"last")
LAST = raw(b"HTTP/1.1 200 OK", b"Content-Length: 4", b"Connection: close", body=b"last")


def named(case: RequestCase | ResponseCase) -> str:
    return f"{case.source}: {case.name}"


def test_there_are_more_than_two_hundred_cases_and_each_has_its_name() -> None:
    cases: list[RequestCase | ResponseCase] = [*REQUESTS, *RESPONSES]
    assert len(cases) > 200
    assert all(SOURCE.match(case.source) for case in cases)
    for direction in (REQUESTS, RESPONSES):
        names = [named(case) for case in direction]
        assert len(names) == len(set(names))


async def next_is_served(server: Peer) -> None:
    """The request that follows a case reaches the upstream as itself."""
    assert own_request(await server.read_head()) == NEXT_SEEN
    await server.send(OK)


# -- requests


@pytest.mark.parametrize("case", REQUESTS, ids=named)
async def test_request(
    proxy: StartProxy, upstream: Upstream, case: RequestCase
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(case.sent + NEXT)
    if case.status:
        await is_refused(running, client, case.status)
    else:
        await is_forwarded(upstream, client, case)
        await running.server.stop()
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    ("start", "status"),
    [
        pytest.param(b"GET /p\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET /p HTTP/2.0\r\n", 505, id="HTTP/2.0"),
        pytest.param(b"GET /p HTTP/1.1\r\nHost: a\n", 400, id="LF after a field"),
        pytest.param(b"\x16\x03\x01\x02\x00", 400, id="a TLS handshake"),
    ],
)
async def test_what_cannot_become_a_head_is_refused_at_once(
    proxy: StartProxy, upstream: Upstream, start: bytes, status: int
) -> None:
    """Nobody waits for the end of a head that is refused in any case."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(start)
    await is_refused(running, client, status)


async def is_refused(running: RunningProxy, client: Peer, status: int) -> None:
    """One answer, and a close that is no reset: the answer arrives."""
    answer, end = await client.read_to_close()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert len(re.findall(rb"HTTP/1.1 \d\d\d ", answer)) == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert end == "fin"
    timeline = await running.ended()
    assert timeline.ending is Ending.REFUSED
    assert timeline.status == status
    await running.server.stop()  # with it another exchange would have ended
    assert running.exchanges.empty()


async def is_forwarded(upstream: Upstream, client: Peer, case: RequestCase) -> None:
    """Exactly `case.seen` is read by the upstream, then the next request."""
    server = await upstream.request()
    head, end, body = case.seen.partition(b"\r\n\r\n")
    assert own_request(server.head) == head + end
    if b"Transfer-Encoding: chunked" in head:
        assert await server.read_body() == body
    else:
        assert await server.read(len(body)) == body
    await server.send(OK)
    if not case.closes:
        await next_is_served(server)
    answers, how = await client.read_to_close()
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == (1 if case.closes else 2)
    assert answers.endswith(b"\r\nConnection: close\r\n\r\nlast")
    assert how == "fin"


# -- responses


@pytest.mark.parametrize("case", RESPONSES, ids=named)
async def test_response(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, case: ResponseCase
) -> None:
    """No time passes: 1xx responses are counted against a rate."""
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, case.request + NEXT)
    await server.send(case.sent)
    if case.then == "fin":
        server.close()
    elif case.then == "reset":
        server.reset()
    timeline = await running.ended()
    if case.error:
        assert timeline.ending is Ending.UPSTREAM_BROKE
        assert timeline.error is not None
        assert timeline.error.type == case.error
    else:
        assert timeline.ending is Ending.COMPLETE
        assert timeline.error is None
    goes_on = not (case.aborted or case.closes)
    if goes_on:
        await next_is_served(server if case.reused else await upstream.connection())
    if not case.reused and case.then == "stays":
        await server.closed()
    answers, how = await client.read_to_close()
    # A body that ends with the connection ends by a reset if it is cut. What came
    # before it may be lost to a client that does not read at once.
    if case.aborted and case.request == GET_1_0 and b"Content-Length" not in case.sent:
        assert how == "reset"
        assert own_responses(answers) in (b"", case.received)
    else:
        assert how == "fin"
        check_answers(case, answers, LAST if goes_on else b"")
    assert running.idle_connections == (goes_on or case.reused)
    assert upstream.unexpected == 0


def check_answers(case: ResponseCase, answers: bytes, last: bytes) -> None:
    """The client read exactly what the case says, and the next response."""
    if case.status:
        own = b"HTTP/1.1 %d " % case.status
        interim, _, rest = answers.partition(own)
        assert own_responses(interim) == case.received
        head, _, rest = rest.partition(b"\r\n\r\n")
        assert b"; error=" + case.error.encode() in head
        size = re.search(rb"\r\nContent-Length: (\d+)", head)
        assert size is not None
        answers = rest[int(size[1]) :]
        assert own_responses(answers) == last
    else:
        assert own_responses(answers) == case.received + last
