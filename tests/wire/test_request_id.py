"""X-Request-Id: taken or made, sent to the upstream, logged, told in errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.observe.access_log import render_json, render_text, to_dict
from proxy.observe.otel import attributes
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field
from tests.support.messages import OK
from tests.support.raw import Peer, Upstream, chunk
from tests.support.siblings import siblings

pytestmark = pytest.mark.both_protocols

MADE = re.compile(rb"[0-9a-f]{12}-[0-9a-f]+")
TRUSTED = {"trusted_proxies": ["127.0.0.1"]}
CONFUSING = (
    b"X-Request-Id: one\r\nx-request-id: two\r\nX_Request_Id: three\r\n"
    b"X.Request-Id: four\r\n"
)


def get(fields: bytes = b"", path: bytes = b"/") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path, fields)


def ids(server: Peer) -> list[bytes]:
    """All that an upstream may take for the id of the request it has read."""
    found = re.findall(rb"(?im)^x[^a-z:]request[^a-z:]id:[ \t]*(.*?)\r$", server.head)
    assert all(isinstance(each, bytes) for each in found)
    return list(found)


async def test_one_id_replaces_all_that_a_stranger_sends(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Two fields, or twins of one, would be read as different ids by two readers."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, get(CONFUSING))
    (sent,) = ids(server)
    assert MADE.fullmatch(sent)
    await server.send(OK)
    await client.read_head()
    timeline = await running.ended()
    assert timeline.request_id == sent
    assert to_dict(timeline, 0.0)["request_id"] == sent.decode()
    assert attributes(timeline)["unbuffered.request_id"] == sent.decode()
    assert sent.decode() not in render_text(timeline, 0.0)  # all went well


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        pytest.param(b"X-Request-Id: from-1/2\r\n", b"from-1/2", id="one"),
        pytest.param(CONFUSING, None, id="several"),
        pytest.param(b"X-Request-Id: a b\r\n", None, id="not one"),
        pytest.param(b"X_Request_Id: a\r\n", None, id="a twin only"),
        pytest.param(
            b"Connection: X-Request-Id\r\nX-Request-Id: a\r\n", b"a", id="in Connection"
        ),
    ],
)
@pytest.mark.parametrize("by", ["address", "route"])
async def test_a_trusted_client_gives_one(
    proxy: StartProxy, upstream: Upstream, fields: bytes, taken: bytes | None, by: str
) -> None:
    route = {"target": upstream.url, "trust_forwarded": by == "route"}
    running = await proxy({"/": route}, server=TRUSTED if by == "address" else {})
    client, server = await running.begin(upstream, get(fields))
    (sent,) = ids(server)
    assert sent == taken if taken else MADE.fullmatch(sent)
    await server.send(OK)
    await client.read_head()
    assert (await running.ended()).request_id == sent


async def test_each_request_of_a_connection_has_its_own(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Also where all their fields are the same, and are planned once."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, get())
    seen = []
    for _ in range(3):
        seen += ids(server)
        await server.send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()
        await client.send(get())
        await server.read_head()
    assert len(set(seen)) == 3


async def test_switched_off_the_field_passes_as_it_is(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server={"request_id": False})
    client, server = await running.begin(upstream, get(CONFUSING))
    assert sorted(ids(server)) == [b"four", b"one", b"three", b"two"]
    await server.send(OK)
    await client.read_head()
    timeline = await running.ended()
    assert timeline.request_id == b""
    assert "request_id" not in to_dict(timeline, 0.0)
    await client.read(2)
    await client.send(get(path=b"/"))
    await server.read_head()
    assert ids(server) == []


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        pytest.param({"remove": ["X-Request-Id"]}, [], id="remove"),
        pytest.param({"set": {"X-Request-Id": "mine"}}, [b"mine"], id="set"),
    ],
)
async def test_the_rules_of_a_route_come_last(
    proxy: StartProxy, upstream: Upstream, rules: dict[str, object], sent: list[bytes]
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "headers": {"request": rules}}}
    )
    _, server = await running.begin(upstream, get(CONFUSING))
    assert ids(server) == sent


@pytest.mark.parametrize(
    ("accept", "kind"), [(b"*/*", b"json"), (b"text/html", b"html")]
)
async def test_an_error_tells_the_id_that_is_in_the_log(
    proxy: StartProxy, upstream: Upstream, accept: bytes, kind: bytes
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    client = await running.client()
    await client.send(get(b"Accept: %b\r\n" % accept, b"/none"))
    head = await client.read_head()
    assert kind in (field(head, b"content-type") or b"")
    body = await client.read(int(field(head, b"content-length") or b"0"))
    timeline = await running.ended()
    assert MADE.fullmatch(timeline.request_id)
    assert timeline.request_id in body
    if kind == b"json":
        assert json.loads(body)["error"]["request_id"].encode() == timeline.request_id
    assert f", request {timeline.request_id.decode()}: " in render_text(timeline, 0.0)
    assert timeline.bytes_sent == len(body)


async def test_a_head_request_is_told_of_an_error_without_a_body(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    client = await running.client()
    await client.send(b"HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_head()
    assert (await running.ended()).bytes_sent == 0


async def test_a_request_that_is_sent_again_keeps_its_id(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A kept connection was closed as the request went out."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, get())
    await server.send(OK)
    await client.read_head()
    await client.read(2)
    await client.send(get())
    await server.read_head()
    first = ids(server)
    server.close()
    server = await upstream.request()
    assert ids(server) == first


async def test_a_shared_stream_is_asked_for_by_the_id_of_the_first(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """And each client has its own in the log."""
    running = await proxy(
        {"/": {"target": upstream.url, "share": True}}, server=TRUSTED, clock=clock
    )
    first, peer = await running.begin(upstream, ask(X_Request_Id="first"))
    assert ids(peer) == [b"first"]
    second = await running.client()
    await second.send(ask(X_Request_Id="second"))
    await running.connected(2)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    for each in (first, second):
        await each.read_head()
        await each.read_chunk()
    (stream,) = running.server.kept.streams.values()
    assert stream.upstream.exchange is not None
    assert stream.upstream.exchange.request_id == b"first"
    first.close()
    left = await running.ended()
    assert left.request_id == b"first"
    second.close()
    assert (await running.ended()).request_id == b"second"
    assert upstream.unexpected == 0


@pytest.mark.any_loop
@pytest.mark.parametrize("first", [0, 1])
async def test_the_worker_that_has_a_stream_knows_the_request_by_the_same_id(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, first: int
) -> None:
    """Handed over or not; a stranger's own is replaced by the worker that it meets."""
    routes = {"/": {"target": upstream.url, "resume": True}}
    async with siblings(tmp_path, routes, clock=clock) as workers:
        client, peer = await workers[first].begin(
            upstream, ask(X_Request_Id="forged", X_Forwarded_For="b")
        )
        (sent,) = ids(peer)
        assert MADE.fullmatch(sent)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        client.close()
        assert (await workers[first].ended()).request_id == sent


async def test_the_json_log_says_what_the_client_is(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    agent = b'Mozilla/5.0 "x"\t\\n ' + b"y" * 2000
    client, server = await running.begin(upstream, get(b"User-Agent: %b\r\n" % agent))
    await server.send(OK)
    await client.read_head()
    line = render_json(await running.ended(), 0.0)
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)["user_agent"]
    assert told == 'Mozilla/5.0 "x"\t\\n ' + "y" * 237 + "..."


@pytest.mark.parametrize("said", [True, "response"])
async def test_a_response_has_the_id_where_that_is_asked_for(
    proxy: StartProxy, upstream: Upstream, said: bool | str
) -> None:
    """In place of what the upstream says there: one id, the one in the logs."""
    running = await proxy({"/": {"target": upstream.url}}, server={"request_id": said})
    client, server = await running.begin(upstream, get())
    await server.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-request-id: other\r\n\r\n"
    )
    head = await client.read_head()
    timeline = await running.ended()
    found = re.findall(rb"(?im)^x-request-id: (.*?)\r$", head)
    assert found == [timeline.request_id if said == "response" else b"other"]


@pytest.mark.parametrize("said", [True, "response"])
async def test_a_response_of_the_proxy_has_it_too(
    proxy: StartProxy, said: bool | str
) -> None:
    running = await proxy(
        {"/a": {"target": "http://127.0.0.1:1"}}, server={"request_id": said}
    )
    client = await running.client()
    await client.send(get())
    head = await client.read_head()
    timeline = await running.ended()
    assert timeline.status == 404
    found = re.findall(rb"(?im)^x-request-id: (.*?)\r$", head)
    assert found == ([timeline.request_id] if said == "response" else [])


@pytest.mark.parametrize("said", [True, "response"])
async def test_an_answer_to_options_has_it_too(
    proxy: StartProxy, upstream: Upstream, said: bool | str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server={"request_id": said})
    client = await running.client()
    await client.send(get(b"Max-Forwards: 0\r\n").replace(b"GET", b"OPTIONS", 1))
    head = await client.read_head()
    timeline = await running.ended()
    assert timeline.status == 200
    found = re.findall(rb"(?im)^x-request-id: (.*?)\r$", head)
    assert found == ([timeline.request_id] if said == "response" else [])
    assert upstream.unexpected == 0


@pytest.mark.http1
async def test_bytes_that_are_no_request_have_one_in_their_response(
    proxy: StartProxy,
) -> None:
    running = await proxy(
        {"/a": {"target": "http://127.0.0.1:1"}}, server={"request_id": "response"}
    )
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nno field\r\n\r\n")
    head = await client.read_head()
    timeline = await running.ended()
    assert timeline.status == 400
    assert field(head, b"x-request-id") == timeline.request_id


async def test_the_event_of_a_failure_names_the_request(
    proxy: StartProxy, upstream: Upstream
) -> None:
    route = {"target": upstream.url, "on_upstream_failure": "event"}
    running = await proxy({"/": route})
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    server.reset()
    event = await client.read_chunk()
    timeline = await running.ended()
    told = json.loads(event.partition(b"data: ")[2])
    assert told["request_id"] == timeline.request_id.decode()


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_refusal_of_the_inspector_has_an_id(
    proxy: StartProxy, trusted: bool
) -> None:
    running = await proxy(
        {"/a": {"target": "http://127.0.0.1:1"}},
        server=TRUSTED if trusted else {},
        inspector={"token": "t" * 20},
    )
    client = await running.client()
    await client.send(get(b"X-Request-Id: mine\r\n", b"/_unbuffered/feed"))
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 401 ")
    size = field(head, b"content-length")
    assert size is not None
    (told,) = json.loads(await client.read(int(size))).values()
    assert (told["status"], told["request_id"] == "mine") == (401, trusted)
    assert trusted or MADE.fullmatch(told["request_id"].encode())
