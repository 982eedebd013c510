"""Failures before the response head: a status, and a body that says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.kept import field
from tests.support.messages import CHUNKED, GET_X
from tests.support.ports import ClosedPort
from tests.support.raw import Peer, Upstream
from tests.support.running import RunningProxy

pytestmark = pytest.mark.both_protocols


async def refusal(client: Peer) -> dict[str, Any]:
    """Read a failure response; the object of its JSON body."""
    head = await client.read_head()
    (length,) = (
        int(line.partition(b": ")[2])
        for line in client.head_lines
        if line.startswith(b"Content-Length: ")
    )
    body = await client.read(length)
    assert b"Content-Type: application/json\r\n" in head
    assert b"Cache-Control: no-store\r\n" in head
    assert b"Traceback" not in body
    told: dict[str, Any] = json.loads(body)["error"]
    assert client.head_lines[0].startswith(b"HTTP/1.1 %d " % told["status"])
    assert b"Proxy-Status: unbuffered; error=" + told["type"].encode() in head
    return told


async def ended(running: RunningProxy, error_type: str) -> None:
    """The account tells of it, and nothing is kept for the next request."""
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == error_type
    assert running.idle_connections == 0


# -- before there is a connection


async def test_a_refused_connection_is_502(proxy: StartProxy) -> None:
    with ClosedPort() as port:
        running = await proxy({"/x": {"target": port.url}})
        client = await running.client()
        await client.send(GET_X)
        told = await refusal(client)
        assert told["status"] == 502
        assert told["type"] == "connection_refused"
        assert told["message"] == f"nothing listens at {port.address}"
        assert (told["route"], told["target"]) == ("/x", port.url)
        assert 0 <= told["elapsed_seconds"] < 5
        await ended(running, "connection_refused")
        await client.send(GET_X)  # the client's connection is still good
        assert (await refusal(client))["status"] == 502


async def test_a_name_without_an_address_is_502(proxy: StartProxy) -> None:
    running = await proxy({"/": {"target": "http://nothing.invalid"}})
    client = await running.client()
    await client.send(GET_X)
    told = await refusal(client)
    assert (told["status"], told["type"]) == (502, "dns_error")
    assert "'nothing.invalid' cannot be resolved" in told["message"]
    await ended(running, "dns_error")


async def test_a_navigation_gets_a_page_and_a_script_gets_json(
    proxy: StartProxy,
) -> None:
    """Fetch Metadata §2.2; by Accept where a browser sends none."""
    with ClosedPort() as port:
        running = await proxy({"/": {"target": port.url}})
        for fields, page in (
            (b"Sec-Fetch-Mode: navigate\r\n", True),
            (b"Accept: text/html,*/*\r\n", True),
            (b"Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n", False),
            (b"", False),
        ):
            client = await running.client()
            await client.send(GET_X.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n"))
            head = await client.read_head()
            kind = b"text/html; charset=utf-8" if page else b"application/json"
            assert b"Content-Type: " + kind + b"\r\n" in head
            if page:
                body = await client.read_until(b"</html>")
                assert port.url.encode() in body
                assert b"nothing listens at" in body


async def test_the_page_for_a_hostile_path_is_only_a_page(proxy: StartProxy) -> None:
    running = await proxy({"/only": {"target": "http://127.0.0.1:1"}})
    client = await running.client()
    await client.send(
        b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: a\r\n"
        b"Sec-Fetch-Mode: navigate\r\n\r\n"
    )
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    body = await client.read_until(b"</html>")
    assert b"<script" not in body
    assert b"/only" in body


async def test_the_answer_to_head_is_a_head(proxy: StartProxy) -> None:
    with ClosedPort() as port:
        running = await proxy({"/": {"target": port.url}})
        client = await running.client()
        await client.send(GET_X.replace(b"GET", b"HEAD") + GET_X)
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")


# -- before the response head is complete


@pytest.mark.parametrize(
    ("sent", "error_type", "reason"),
    [
        pytest.param(
            b"", "connection_terminated", "closed without a response", id="at once"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: ",
            "connection_terminated",
            "closed in the middle of the response head",
            id="inside the head",
        ),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\n\r\n",
            "connection_terminated",
            "closed without a response",
            id="after an interim response",
        ),
    ],
)
async def test_an_upstream_that_closes_before_its_head_is_502(
    proxy: StartProxy, upstream: Upstream, sent: bytes, error_type: str, reason: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    if sent:
        await server.send(sent)
    server.close()
    if b"103" in sent:
        assert (await client.read_head()).startswith(b"HTTP/1.1 103 ")
    told = await refusal(client)
    assert (told["status"], told["type"]) == (502, error_type)
    assert reason in told["message"]
    await ended(running, error_type)


async def test_an_upstream_that_resets_before_its_head_is_502(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    server.reset()
    told = await refusal(client)
    assert told["type"] == "connection_terminated"
    assert "reset the connection" in told["message"]
    await ended(running, "connection_terminated")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="another protocol"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02", id="TLS"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="another version"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX y: z\r\n\r\n", id="field name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", id="NUL"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", id="folded line"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(
            CHUNKED + b"Content-Length: 1\r\n\r\n0\r\n\r\n", id="length and chunks"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="coding"
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n",
            id="unasked switch of protocols",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, id="endless head"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40, id="endless hints"),
    ],
)
async def test_an_upstream_that_sends_no_response_is_502(
    proxy: StartProxy, upstream: Upstream, sent: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    server.writer.write(sent)
    if b"103" in sent:
        for _ in range(32):
            await client.read_head()
    told = await refusal(client)
    assert (told["status"], told["type"]) == (502, "http_protocol_error")
    await ended(running, "http_protocol_error")
    await server.closed()


@pytest.mark.http1
async def test_an_upload_to_an_upstream_that_breaks_ends_with_the_answer(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc"
    )
    assert await server.read(3) == b"abc"
    server.reset()
    assert (await refusal(client))["type"] == "connection_terminated"
    assert b"Connection: close\r\n" in client.head
    assert await client.read_to_close() == (b"", "fin")
    await ended(running, "connection_terminated")


@pytest.mark.http1
async def test_what_was_no_request_has_an_id_and_counts_its_body(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    head = await client.read_head()
    body = await client.read(int(field(head, b"content-length") or b"0"))
    timeline = await running.ended()
    assert json.loads(body)["error"]["request_id"].encode() == timeline.request_id
    assert timeline.bytes_sent == len(body)
