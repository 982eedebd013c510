"""Behind trusted proxies logs, spans and the inspector name the client itself."""

from __future__ import annotations

import pytest

from proxy.observe.access_log import render_text, to_dict
from proxy.observe.list_row import row
from proxy.observe.otel import attributes
from proxy.timeline import Phase, Timeline
from tests.conftest import StartProxy
from tests.support.kept import EVENT_HEAD, ask, stream_id
from tests.support.messages import OK
from tests.support.raw import Upstream, chunk

pytestmark = pytest.mark.both_protocols

BALANCER = {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}
FORWARDED_FOR = b"X-Forwarded-For: "


def get(fields: bytes, host: bytes = b"inside:1", path: bytes = b"/") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path, host, fields)


def seen(timeline: Timeline) -> set[tuple[object, object]]:
    """Client and peer, as everybody tells them who tells of an exchange."""
    told = to_dict(timeline, 0.0)
    span = attributes(timeline)
    shown = row(timeline, Phase.OVER, 0, 0.0, 0.0)
    in_text = render_text(timeline, 0.0).split(" ")[1]
    return {
        (told["client"], told["peer"]),
        (span["client.address"], span["network.peer.address"]),
        (shown["client"], shown["peer"]),
        (in_text, told["peer"]),
    }


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        pytest.param(b"", "127.0.0.1", id="nothing is said"),
        pytest.param(FORWARDED_FOR + b"203.0.113.7\r\n", "203.0.113.7", id="one hop"),
        pytest.param(
            FORWARDED_FOR + b"6.6.6.6, 203.0.113.7, 10.1.2.3\r\n",
            "203.0.113.7",
            id="from the right, past trusted hops",
        ),
        pytest.param(
            FORWARDED_FOR + b"6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "203.0.113.7",
            id="in two fields",
        ),
        pytest.param(
            FORWARDED_FOR + b"10.9.9.9, 10.1.2.3\r\n", "10.9.9.9", id="all are trusted"
        ),
        pytest.param(
            FORWARDED_FOR + b"203.0.113.7, unknown, 10.1.2.3\r\n",
            "10.1.2.3",
            id="what is no address ends it",
        ),
        pytest.param(
            FORWARDED_FOR + b"203.0.113.7:5123\r\n", "203.0.113.7", id="with a port"
        ),
        pytest.param(
            FORWARDED_FOR + b'fe80::1%" 200 1 B\r\n', "fe80::1", id="a zone is left out"
        ),
        pytest.param(
            b'Forwarded: for=6.6.6.6, for="[2001:db8::7]:443";proto=https\r\n',
            "2001:db8::7",
            id="by Forwarded",
        ),
    ],
)
async def test_the_client_is_the_last_hop_that_is_not_trusted(
    proxy: StartProxy, upstream: Upstream, fields: bytes, client: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=BALANCER)
    asking, server = await running.begin(upstream, get(fields))
    await server.send(OK)
    await asking.read_head()
    assert seen(await running.ended()) == {(client, "127.0.0.1")}


async def test_a_stranger_says_nothing_of_itself(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    fields = (
        b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: shop\r\n"
        b"X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.7\r\n"
    )
    asking, server = await running.begin(upstream, get(fields))
    await server.send(OK)
    await asking.read_head()
    timeline = await running.ended()
    assert seen(timeline) == {("127.0.0.1", "127.0.0.1")}
    told = to_dict(timeline, 0.0)
    assert (told["scheme"], told["host"]) == ("http", "inside:1")


async def test_a_route_that_trusts_all_believes_its_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    route = {"target": upstream.url, "trust_forwarded": True}
    running = await proxy({"/": route})
    fields = FORWARDED_FOR + b"6.6.6.6, 203.0.113.7\r\n"
    asking, server = await running.begin(upstream, get(fields))
    await server.send(OK)
    await asking.read_head()
    assert seen(await running.ended()) == {("203.0.113.7", "127.0.0.1")}


async def test_what_was_asked_and_who_was_chosen_are_told(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=BALANCER)
    fields = b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example:8443\r\n"
    asking, server = await running.begin(upstream, get(fields))
    await server.send(OK)
    await asking.read_head()
    timeline = await running.ended()
    told = to_dict(timeline, 0.0)
    assert (told["scheme"], told["host"]) == ("https", "shop.example:8443")
    assert told["upstream"] == upstream.url
    assert f" https://shop.example:8443 /={upstream.url} " in render_text(timeline, 0)
    span = attributes(timeline)
    assert (span["url.scheme"], span["server.address"]) == ("https", "shop.example")
    shown = row(timeline, Phase.OVER, 0, 0.0, 0.0)
    assert (shown["scheme"], shown["host"]) == ("https", "shop.example:8443")


BY_THE_PROXY = [
    pytest.param("/a", get(b"%b", path=b"/b"), 404, id="no route"),
    pytest.param("/", get(b"Content-Length: 9\r\n%b"), 413, id="too large a body"),
    pytest.param("/", get(b"Max-Forwards: 0\r\n%b").replace(b"GET", b"OPTIONS"), 200,
                 id="the last hop"),
    pytest.param("/a", get(b"%b", path=b"/_unbuffered/streams/x"), 404,
                 id="no such stream"),
]  # fmt: skip


@pytest.mark.parametrize(("prefix", "request_", "status"), BY_THE_PROXY)
async def test_who_got_no_response_of_an_upstream_is_told_too(
    proxy: StartProxy, upstream: Upstream, prefix: str, request_: bytes, status: int
) -> None:
    route = {"target": upstream.url, "max_body_bytes": 8, "resume": True}
    running = await proxy({prefix: route}, server=BALANCER)
    asking = await running.client()
    await asking.send(request_ % (FORWARDED_FOR + b"203.0.113.7\r\n"))
    await asking.read_head()
    timeline = await running.ended()
    assert timeline.status == status
    assert seen(timeline) == {("203.0.113.7", "127.0.0.1")}
    told = to_dict(timeline, 0.0)
    assert (told["host"], told["upstream"]) == ("inside:1", None)


async def test_who_asks_for_the_state_of_a_stream_is_told_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    route = {"target": upstream.url, "resume": True}
    running = await proxy({"/": route}, server=BALANCER)
    asking, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await asking.read_head()
    other = await running.client()
    path = b"/_unbuffered/streams/" + stream_id(asking)
    fields = FORWARDED_FOR + b"203.0.113.7\r\n"
    await other.send(get(fields, path=path).replace(b"GET", b"HEAD"))
    assert (await other.read_head()).startswith(b"HTTP/1.1 200 ")
    assert seen(await running.ended()) == {("203.0.113.7", "127.0.0.1")}
