"""Heads that repeat: what is kept of one is never taken for another's.

Whatever came before on the connections, each request and each response leaves
the proxy as it would as the first of all.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy import timeline
from proxy.config.model import Config
from proxy.config.route import FieldRules, HeaderRules, Route
from proxy.config.target import parse_target
from tests.support.memory import MemoryProxy, MemoryTransport
from tests.support.messages import REQUEST_ID

SECRETS = HeaderRules(request=FieldRules(set={"Authorization": "x"}))
TARGET = parse_target("http://127.0.0.1:1/base")
CONFIG = Config(
    routes={
        "/": Route(prefix="/", targets=(TARGET,), ws=True),
        "/b": Route(
            prefix="/b", targets=(TARGET,), change_origin=True, headers=SECRETS
        ),
        "/small": Route(prefix="/small", targets=(TARGET,), max_response_head_bytes=50),
    }
)
LINES = [
    b"GET / HTTP/1.1",
    b"GET /b HTTP/1.1",
    b"GET /b/%2F?x HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"GET http://other.example/b HTTP/1.1",
    b"GET / HTTP/1.0",
]
FIELDS = [
    b"Host: a\r\n",
    b"Host: b\r\n",
    b"Host: a\r\nConnection: keep-alive\r\n",
    b"Host: a\r\nAuthorization: mine\r\nAccept-Encoding: gzip\r\n",
    b"Host: a\r\nTE: trailers\r\nConnection: te, x-own\r\nX-Own: 1\r\n",
]
HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLocation: http://127.0.0.1:1/base/\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 02\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-B: 1\r\nConnection: x-b\r\n",
]

Step = tuple[bytes, bytes, float]
one_step = st.tuples(
    st.builds(
        lambda line, fields: line + b"\r\n" + fields + b"\r\n",
        st.sampled_from(LINES),
        st.sampled_from(FIELDS),
    ),
    st.sampled_from(HEADS),
    st.sampled_from([1000.0, 2000.0]),
)
# Many of them several times, one after the other.
steps = st.lists(
    st.tuples(one_step, st.integers(1, 4)),
    min_size=1,
    max_size=4,
).map(lambda found: [step for step, times in found for _ in range(times)])


def reconnect(proxy: MemoryProxy) -> None:
    """Have the upstream's connections be new ones."""
    for each in proxy.upstreams:
        each.connection.connection_lost(None)
    proxy.connect()


def exchange(proxy: MemoryProxy, step: Step) -> tuple[bytes, bytes]:
    """What one request and its response look like on their way out."""
    request, head, now = step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "wall_clock", lambda: now)
        proxy.client.receive(request)
        upstream = asked(proxy)
        sent, upstream.written = upstream.written, b""
        body = b"" if request.startswith(b"HEAD") else b"ok"
        upstream.receive(head + b"\r\n" + body)
    told, proxy.client.written = proxy.client.written, b""
    return REQUEST_ID.sub(b"", sent), told  # each request has one of its own


def asked(proxy: MemoryProxy) -> MemoryTransport:
    (upstream,) = [each for each in proxy.upstreams if each.written]
    return upstream


def plain(line: bytes) -> Step:
    """A step in which nothing but the request line varies."""
    return (line + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[3], 1000.0)


@given(steps)
@example([plain(LINES[3]), plain(LINES[0])])  # HEAD says 02, GET says 2
async def test_a_head_is_written_as_if_it_were_the_first(sequence: list[Step]) -> None:
    kept = MemoryProxy(CONFIG)
    for before, step in itertools.pairwise([None, *sequence]):
        assert step is not None
        if kept.client.finished or kept.client.closed:
            break
        fresh = MemoryProxy(CONFIG)
        assert exchange(kept, step) == exchange(fresh, step), before
        fresh.stop()
    kept.stop()


@given(steps)
@example([plain(LINES[3]), plain(LINES[0])])
async def test_so_is_one_on_a_connection_that_expects_it(sequence: list[Step]) -> None:
    """What another connection to the upstream has read is never taken for its own."""
    kept = MemoryProxy(CONFIG)
    for before, step in itertools.pairwise([None, *sequence]):
        assert step is not None
        fresh = MemoryProxy(CONFIG)
        assert exchange(kept, step) == exchange(fresh, step), before
        fresh.stop()
        reconnect(kept)
    kept.stop()


async def test_a_new_connection_has_the_head_of_another_in_common() -> None:
    """Else the test above would show nothing. Unless it is for another limit."""
    proxy = MemoryProxy(CONFIG)
    step = (LINES[0] + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[1], 1000.0)

    def heads() -> list[object]:
        told = exchange(proxy, step)
        assert told[1].startswith(b"HTTP/1.1 200")
        found = [timeline.heads for timeline in proxy.timelines]
        return [each[2] for each in found if isinstance(each, tuple)]

    heads()
    reconnect(proxy)
    first, second = heads()
    assert first is second
    reconnect(proxy)
    small = LINES[0].replace(b"/", b"/small", 1)
    refused = (small + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[1], 1000.0)
    assert exchange(proxy, refused)[1].startswith(b"HTTP/1.1 502")
    proxy.stop()


async def test_the_second_request_is_not_read_anew() -> None:
    """Else the test above would show nothing."""
    proxy = MemoryProxy(CONFIG)
    step = (LINES[0] + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[1], 1000.0)
    exchange(proxy, step)
    first = proxy.client_connection.last_head
    exchange(proxy, (LINES[1] + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[1], 1000.0))
    second = proxy.client_connection.last_head
    assert first is not None
    assert second is not None
    assert second.fields is first.fields
    assert (first.target, second.target) == (b"/", b"/b")
    proxy.stop()


async def test_a_head_is_judged_by_the_limit_of_each_route() -> None:
    """The same bytes on the same connection, for a route that allows fewer."""
    proxy = MemoryProxy(CONFIG)
    told = [
        exchange(proxy, (line + b"\r\n" + FIELDS[0] + b"\r\n", HEADS[1], 1000.0))[1]
        for line in (LINES[0], LINES[0], b"GET /small HTTP/1.1")
    ]
    assert [each[:12] for each in told] == [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200",
        b"HTTP/1.1 502",
    ]
    proxy.stop()
