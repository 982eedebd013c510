"""Routes by host: which upstream gets a request, and what is never mixed up."""

from __future__ import annotations

import json

import pytest

from proxy.observe.access_log import render_json
from tests.conftest import ManualClock, StartProxy
from tests.support.answers import answered
from tests.support.kept import EVENT_HEAD, ask, stream_id
from tests.support.messages import OK
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop


def to(upstream: Upstream, path: str = "", **options: object) -> dict[str, object]:
    return {"target": upstream.url + path, **options}


async def by_path(proxy: StartProxy, upstream: Upstream) -> RunningProxy:
    """Each route leads to a path of its own, so the upstream sees which it was."""
    names = {
        "/": "/all",
        "/v1": "/all-v1",
        "a.example/v1": "/a-v1",
        "*.example/": "/below",
        "[::1]/": "/v6",
    }
    return await proxy({name: to(upstream, path) for name, path in names.items()})


@pytest.mark.both_protocols
@pytest.mark.parametrize(
    ("host", "path", "asked"),
    [
        pytest.param(b"a.example", b"/v1/x", b"/a-v1/v1/x", id="a host"),
        pytest.param(b"A.Example:8080", b"/v1", b"/a-v1/v1", id="its case and port"),
        pytest.param(b"a.example", b"/x", b"/below/x", id="another path of it"),
        pytest.param(b"c.b.example", b"/v1", b"/below/v1", id="names below"),
        pytest.param(b"example", b"/v1", b"/all-v1/v1", id="the name above"),
        pytest.param(b"[0::1]:443", b"/v1", b"/v6/v1", id="IPv6"),
        pytest.param(b"other", b"/", b"/all/", id="any other"),
    ],
)
async def test_a_request_takes_the_route_of_its_host(
    proxy: StartProxy, upstream: Upstream, host: bytes, path: bytes, asked: bytes
) -> None:
    """By HTTP/2 the host is `:authority` (RFC 9113 §8.3.1)."""
    running = await by_path(proxy, upstream)
    client, server = await running.begin(
        upstream, b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path, host)
    )
    assert server.head_lines[0] == b"GET %b HTTP/1.1" % asked
    assert server.head_lines[1].lower() == b"host: %b" % host.lower()
    await server.send(OK)
    await client.read_head()


@pytest.mark.parametrize(
    ("request_text", "asked"),
    [
        pytest.param(
            b"GET http://a.example/v1 HTTP/1.1\r\nHost: other\r\n\r\n",
            b"/a-v1/v1",
            id="absolute-form replaces Host (RFC 9112 §3.2.2)",
        ),
        pytest.param(
            b"GET http://other/v1 HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"/all-v1/v1",
            id="and so it does the other way round",
        ),
        pytest.param(b"GET /v1 HTTP/1.0\r\n\r\n", b"/all-v1/v1", id="HTTP/1.0"),
    ],
)
async def test_absolute_form_and_requests_without_a_host(
    proxy: StartProxy, upstream: Upstream, request_text: bytes, asked: bytes
) -> None:
    running = await by_path(proxy, upstream)
    _, server = await running.begin(upstream, request_text)
    assert server.head_lines[0].split()[1] == asked


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Host:\r\n", id="an empty one"),
        pytest.param(b"Host: a.example\r\nHost: a.example\r\n", id="two"),
        pytest.param(b"Host: a.example, b.example\r\n", id="a list"),
        pytest.param(b"Host: a.example/v1\r\n", id="a path"),
        pytest.param(b"Host: a.example:99999\r\n", id="an odd port"),
        pytest.param(b"Host: me@a.example\r\n", id="a user"),
    ],
)
async def test_a_request_without_one_valid_host_takes_no_route(
    proxy: StartProxy, upstream: Upstream, fields: bytes
) -> None:
    running = await by_path(proxy, upstream)
    client = await running.client()
    await client.send(b"GET /v1 HTTP/1.1\r\n%b\r\n" % fields)
    assert (await client.read_head()).startswith(b"HTTP/1.1 400 ")
    assert (await running.ended()).route is None
    assert upstream.unexpected == 0


async def test_a_route_is_called_by_its_name_everywhere(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """In the access log, the metrics and the inspector; a 404 names all of them."""
    running = await proxy({"a.example/v1": to(upstream)})
    client, server = await running.begin(
        upstream, b"GET /v1 HTTP/1.1\r\nHost: a.example\r\n\r\n"
    )
    await server.send(OK)
    await client.read_head()
    assert json.loads(render_json(await running.ended(), 0.0))["route"] == (
        "a.example/v1"
    )
    own = b"GET /_unbuffered/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    metrics = (await answered(client, own)).body.decode()
    assert 'route="a.example/v1"' in metrics
    stranger = b"GET /v1 HTTP/1.1\r\nHost: b.example\r\n\r\n"
    told = (await answered(client, stranger)).message
    assert told == "no route for 'b.example/v1'; configured: a.example/v1"


async def test_a_destination_of_webdav_takes_the_route_of_the_host(
    proxy: StartProxy, upstream: Upstream
) -> None:
    rewrite = {"path_rewrite": {"^/dav": ""}}
    running = await proxy(
        {
            "/dav": to(upstream, "/all", **rewrite),
            "a.example/dav": to(upstream, "/a", **rewrite),
        }
    )
    _, server = await running.begin(
        upstream,
        b"MOVE /dav/1 HTTP/1.1\r\nHost: a.example\r\n"
        b"Destination: http://a.example/dav/2\r\n\r\n",
    )
    assert server.head_lines[0] == b"MOVE /a/1 HTTP/1.1"
    assert b"Destination: http://a.example/a/2" in server.head_lines


async def test_a_redirect_gets_the_prefix_of_a_host_route_back(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"a.example/v1": to(upstream, path_rewrite={"^/v1": ""}, change_origin=True)}
    )
    client, server = await running.begin(
        upstream, b"GET /v1/x HTTP/1.1\r\nHost: a.example\r\n\r\n"
    )
    await server.send(
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
    )
    await client.read_head()
    assert b"Location: /v1/login" in client.head_lines


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("Idempotency_Key", "same", id="Idempotency-Key"),
        pytest.param("Last_Event_ID", "7", id="an event id of the upstream"),
    ],
)
async def test_names_of_streams_are_those_of_one_host_of_many(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    field: str,
    value: str,
) -> None:
    """Tenants below one name have the same paths, and may have the same keys."""
    running = await proxy({"*.example/": to(upstream, resume=True)}, clock=clock)
    method = "POST" if field == "Idempotency_Key" else "GET"

    def of(host: str, **fields: str) -> bytes:
        text = ask(b"/", **fields).replace(b"Host: a", b"Host: " + host.encode())
        assert b"Host: " + host.encode() in text
        return text.replace(b"GET", method.encode(), 1)

    first, server = await running.begin(
        upstream, of("one.example", Idempotency_Key="same")
    )
    await server.send(EVENT_HEAD % b"" + chunk(b"id: 7\ndata: secret\n\n"))
    await first.read_head()
    id = stream_id(first)
    other, server = await running.begin(upstream, of("two.example", **{field: value}))
    await server.send(EVENT_HEAD % b"" + chunk(b"id: 1\ndata: own\n\n"))
    await other.read_head()
    assert stream_id(other) != id
    again = await running.client()
    await again.send(of("ONE.example:80", **{field: value}))
    await again.read_head()
    assert stream_id(again) == id
    assert upstream.unexpected == 0
