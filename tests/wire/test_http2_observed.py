"""HTTP/2 as operators see it: access log, metrics, inspector, warnings."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.inspector.detectors import Findings
from proxy.observe.access_log import render_text, to_dict
from tests.conftest import StartProxy
from tests.support.http2 import (
    DATA,
    END_STREAM,
    PROTOCOL_ERROR,
    RST_STREAM,
    Http2Client,
    Http2Listener,
    frame,
)
from tests.support.messages import EVENT_STREAM, OK
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy

BROWSER = [("sec-fetch-mode", "cors"), ("user-agent", "x")]


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy({"/api": {"target": upstream.url}}, server=over.server)


async def metrics(http: Http2Client) -> dict[str, float]:
    """All samples, by name and labels."""
    head, body = await http.get("/_unbuffered/metrics")
    assert head[":status"] == "200"
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_the_access_log_says_http2(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/api?x")
    await (await upstream.request()).send(OK)
    await http.body(number)
    timeline = await running.ended()
    assert '"GET /api?x HTTP/2.0" 200 2 B' in render_text(timeline, 0.0)
    assert to_dict(timeline, 0.0)["version"] == "HTTP/2.0"


async def test_a_request_that_its_content_makes_malformed_is_logged(
    running: RunningProxy, over: Http2Listener
) -> None:
    """In the same read as its head: nobody has begun it."""
    http = await over.frames(running)
    fields = [("content-length", "5")]
    head = http.request(1, "/api", fields, method="POST", end=False)
    await http.peer.send(head + frame(DATA, END_STREAM, 1, b"abc"))
    assert (await http.next(RST_STREAM, 1)).code == PROTOCOL_ERROR
    assert "Content-Length" in str((await running.ended()).error)


async def test_metrics_count_it(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    before = await metrics(http)
    number = await http.ask("/api")
    await (await upstream.request()).send(EVENT_STREAM)
    await http.head(number)
    await http.reset(number)
    await running.ended()
    after = await metrics(http)

    def grown(name: str) -> float:
        return (
            after[f"unbuffered_http2_{name}_total"]
            - before[f"unbuffered_http2_{name}_total"]
        )

    assert grown("requests") == 2  # the scrape is one, too
    assert grown("resets") == 1
    connections = {
        name: count for name, count in after.items() if "client_connections" in name
    }
    assert sum(count for name, count in connections.items() if ",h2" in name) == 1
    assert sum(connections.values()) == 1


FEED = "/_unbuffered/feed"


async def test_the_inspector_is_for_browsers_that_speak_it(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """By TLS: without it no browser does, and a hop on this machine may."""
    http = await over.client(running, name="localhost")
    here = f"localhost:{running.port}"
    same = [("sec-fetch-site", "same-origin")]
    number = await http.ask(FEED, same, authority=here)
    head = await http.head(number)
    if over.authority is None:
        assert head[":status"] == "403"
        assert b"keep-alive" in await http.body(number)
        return
    assert head[":status"] == "200"
    assert head["content-type"].startswith("text/event-stream")
    exchange = await http.ask("/api?seen")
    server = await upstream.request()
    while "/api?seen" not in http.data[number].decode():
        await http.pump()
    await server.send(OK)
    await http.body(exchange)
    await http.reset(number)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        pytest.param("127.0.0.1", "localhost", id="none"),
        pytest.param("127.0.0.1", "127.0.0.1", id="none, since it is an address"),
        pytest.param("localhost", "127.0.0.1", id="another"),
    ],
)
async def test_the_inspector_is_not_for_who_names_another_server_in_tls(
    running: RunningProxy, over: Http2Listener, name: str, host: str
) -> None:
    """HAProxy with `alpn h2`, say, names none: its clients can be anywhere."""
    http = await over.client(running, name=name)
    for path in ("", "page/main.js", "feed", "exchanges/0-1", "exchanges/0-1/feed"):
        number = await http.ask(f"/_unbuffered/{path}", authority=host)
        status = "421" if over.authority is not None else "403"
        assert (await http.head(number))[":status"] == status
        assert b"keep-alive by HTTP/1.1" in await http.body(number)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_bodies_are_not_for_who_names_another_server_in_tls(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, name: str
) -> None:
    """Where everybody may look at the rest."""
    running = await proxy(
        {"/api": {"target": upstream.url}},
        server=over.server,
        inspector={"enabled": True},
    )
    http = await over.client(running, name=name)
    exchange = await http.ask("/api")
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await http.head(exchange)
    feed = await http.ask(FEED)
    while not (found := re.search(rb'"id":"(0-\d+)"', http.data[feed])):
        await http.pump()
    path = f"/_unbuffered/exchanges/{found[1].decode()}/feed"
    feed = await http.ask(path, authority="localhost")
    await http.head(feed)
    await server.send(chunk(b"data: 1\n\n"))
    while not (told := re.search(rb"event: pieces\n.*\n", http.data[feed])):
        await http.pump()
    direct = over.authority is not None and name == "localhost"
    assert (b"base64" in told[0]) is direct


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(("via", "2.0 hop"), id="via"),
        pytest.param(("x-forwarded-for", "10.0.0.1"), id="x-forwarded-for"),
        pytest.param(("sec-fetch-site", "cross-site"), id="another site"),
    ],
)
async def test_the_inspector_is_not_for_hops_and_foreign_pages(
    running: RunningProxy, over: Http2Listener, field: tuple[str, str]
) -> None:
    http = await over.client(running)
    head, _ = await http.get("/_unbuffered/feed", [field])
    assert head[":status"] in ("403", "404")


async def test_a_host_that_is_not_ours_is_for_the_routes(
    running: RunningProxy, over: Http2Listener
) -> None:
    """DNS rebinding: the authority is what counts as Host."""
    http = await over.client(running)
    number = await http.ask("/_unbuffered/feed", authority="evil.example")
    assert (await http.head(number))[":status"] == "404"
    assert json.loads(await http.body(number))["error"]["type"] == (
        "destination_not_found"
    )


async def test_a_browser_has_connections_left(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    for _ in range(8):
        number = await http.ask("/api", BROWSER)
        await (await upstream.request()).send(EVENT_STREAM)
        await http.head(number)
    findings = Findings(0.0)
    findings.look(running.server.exchanges)
    assert len(running.server.exchanges) == 8
    assert findings.crowded() == []
