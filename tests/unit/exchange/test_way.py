"""A way that is known: what it saves, and all that is looked at in spite of it."""

from __future__ import annotations

import pytest

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.way import Way
from tests.support.memory import MemoryProxy, MemoryTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"


def config(base: str, **options: object) -> Config:
    """One route, to a target with this path."""
    target = parse_target(f"http://127.0.0.1:1{base}")
    route = Route(prefix="/", targets=(target,), **options)  # type: ignore[arg-type]
    return Config(routes={"/": route})


def asked(served: MemoryProxy, data: bytes) -> bytes:
    """What the upstream gets of a request, which it then answers."""
    served.client.receive(data)
    (server,) = served.open_upstreams
    sent, server.written = server.written, b""
    server.receive(OK)
    assert served.client.written.endswith(b"\r\n\r\nok")
    served.client.written = b""
    return sent


def known(served: MemoryProxy) -> Way | None:
    """The way that the client's connection knows."""
    way = served.client_connection.planner.way
    assert way is None or isinstance(way, Way)
    return way


async def test_a_way_is_known_once_a_head_has_come_again() -> None:
    """A client that never asks for the same again pays nothing for it."""
    served = MemoryProxy(config("/up"))
    asked(served, GET)
    assert known(served) is None
    asked(served, GET)
    way = known(served)
    assert way is not None
    assert way.head is served.client_connection.last_head
    first = asked(served, GET)
    assert known(served) is way
    assert first.startswith(b"GET /up/a HTTP/1.1\r\n")
    assert asked(served, GET.replace(b"/a", b"/b", 1)).startswith(b"GET /up/b ")
    assert asked(served, GET).startswith(b"GET /up/a ")
    served.stop()


async def test_heads_that_come_at_once_or_byte_by_byte_go_the_same_way() -> None:
    served = MemoryProxy(config("/up"))
    sent = {asked(served, GET).partition(b"X-Request-Id")[0] for _ in range(3)}
    for byte in GET[:-1]:
        served.client.receive(bytes([byte]))
    sent.add(asked(served, GET[-1:]).partition(b"X-Request-Id")[0])
    served.client.receive(GET * 3)
    for _ in range(3):
        (server,) = served.open_upstreams
        sent.add(server.written.partition(b"X-Request-Id")[0])
        server.written = b""
        server.receive(OK)
    assert len(sent) == 1
    assert len(served.timelines) == 7
    served.stop()


async def test_a_reload_ends_a_way() -> None:
    served = MemoryProxy(config("/old"))
    for _ in range(3):
        assert asked(served, GET).startswith(b"GET /old/a ")
    server = served.server
    server.compiled = CompiledRoutes(config("/new"), server.ticker, server.compiled)
    (upstream,) = server.compiled.upstreams
    connection = upstream.connection()
    served.upstreams = [MemoryTransport(connection)]
    upstream.keep(connection)
    for _ in range(3):
        assert asked(served, GET).startswith(b"GET /new/a ")
    served.stop()


@pytest.mark.parametrize(
    ("head", "body", "broken"),
    [
        pytest.param(UPLOAD, b"2\r\nhi\r\n0\r\n\r\n", b"2\r\nhix", id="malformed"),
        pytest.param(UPLOAD, b"2\r\nhi\r\n0\r\n\r\n", b"z", id="no size"),
    ],
)
async def test_a_body_is_looked_at_each_time(
    head: bytes, body: bytes, broken: bytes
) -> None:
    served = MemoryProxy(config("/up"))
    for _ in range(4):
        assert b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n" in asked(served, head + body)
    assert known(served) is not None
    served.client.receive(head + broken)
    assert served.client.written.startswith(b"HTTP/1.1 400 ")
    assert not served.open_upstreams  # nothing of it has gone out
    served.stop()


async def test_a_body_has_its_limit_each_time() -> None:
    """Of a length that is told beforehand, and of one that is not."""
    served = MemoryProxy(config("/up", max_body_bytes=2))
    for _ in range(4):
        assert asked(served, SIZED + b"hi").endswith(b"\r\n\r\nhi")
    for _ in range(4):
        asked(served, UPLOAD + b"2\r\nhi\r\n0\r\n\r\n")
    served.client.receive(UPLOAD + b"3\r\nhoi\r\n0\r\n\r\n")
    assert served.client.written.startswith(b"HTTP/1.1 413 ")
    served.stop()


async def test_each_request_has_an_id_and_a_client_of_its_own() -> None:
    """Those that a proxy in front says, where the route trusts it."""
    own = MemoryProxy(config("/up"))
    given = MemoryProxy(config("/up", trust_forwarded=True))
    fields = b"\r\nX-Request-Id: mine\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    request = GET.replace(b"\r\n\r\n", fields)
    for _ in range(4):
        asked(own, GET)
        assert b"X-Request-Id: mine\r\n" in asked(given, request)
    ids = [each.request_id for each in own.timelines]
    assert len(set(ids)) == 4
    assert {each.request_id for each in given.timelines} == {b"mine"}
    assert {each.client for each in given.timelines} == {b"192.0.2.1"}
    assert {each.client for each in own.timelines} == {b"127.0.0.1"}
    assert {each.host for each in own.timelines} == {b"a"}
    own.stop()
    given.stop()


async def test_a_head_that_is_too_long_to_be_kept_has_no_way() -> None:
    served = MemoryProxy(config("/up"))
    long = GET.replace(b"\r\n\r\n", b"\r\nA: %b\r\n\r\n" % (b"a" * 5000))
    for _ in range(3):
        asked(served, long)
    assert known(served) is None
    assert served.client_connection.planner.repeated is None
    served.stop()


async def test_a_refused_request_has_no_way() -> None:
    """It is judged each time: the route is none of this one's."""
    target = parse_target("http://127.0.0.1:1")
    route = Route(prefix="/b", targets=(target,))
    served = MemoryProxy(Config(routes={"/b": route}))
    for _ in range(4):
        served.client.receive(GET)
        assert served.client.written.startswith(b"HTTP/1.1 404 ")
        served.client.written = b""
    assert known(served) is None
    served.stop()
