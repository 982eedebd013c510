"""Requests that go round are answered; chains that end are not disturbed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.policy.loop_detection import MOST_PASSES
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.ports import ClosedPort
from tests.support.raw import Upstream
from tests.support.running import serving
from tests.wire.test_failures import refusal


class Back:
    """A dev server whose proxy sends all that it is asked to `port`."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)

        async def copy(
            source: asyncio.StreamReader, sink: asyncio.StreamWriter
        ) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, back))
            group.create_task(copy(there, writer))


async def test_a_target_that_leads_back_here_is_told_of(proxy: StartProxy) -> None:
    """RFC 5842 §7.2 and RFC 9209 §2.3: 508, not descriptors until none is left."""
    with ClosedPort() as dev:
        running = await proxy({"/": {"target": dev.url}})
        server = await asyncio.start_server(Back(running.port), sock=dev.sock)
        async with server:
            client = await running.client()
            await client.send(b"GET /lost HTTP/1.1\r\nHost: a\r\n\r\n")
            told = await refusal(client)
            assert (told["status"], told["type"]) == (508, "proxy_loop_detected")
            assert told["message"] == (
                f"route /: {dev.url} sends requests back to this proxy; this one has "
                f"passed through {MOST_PASSES} times (Via)"
            )
            assert told["route"] == "/"
            assert "Add a route for the prefix of this path" in told["advice"]
            assert "not be a server that sends requests back here" in told["advice"]
            innermost = await running.ended()
            assert innermost.ending is Ending.REFUSED
            for _ in range(MOST_PASSES):  # the others were answered as it was
                assert (await running.ended()).ending is Ending.COMPLETE
            assert running.server.under_way == 0
            await running.stop()


async def test_a_target_may_send_a_path_back_as_another(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """It has been here before, and is on its way to where it ends."""
    with ClosedPort() as dev:
        running = await proxy(
            {"/": {"target": dev.url}, "/lost/sse": {"target": upstream.url}}
        )

        async def rewriting(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", running.port)
            back.write(head.replace(b"GET /api", b"GET /lost/sse", 1))
            writer.write(await there.readuntil(b"ok"))
            back.close()
            writer.close()

        async with await asyncio.start_server(rewriting, sock=dev.sock):
            client, server = await running.begin(
                upstream, b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            assert server.head.count(b"Via: 1.1 unbuffered\r\n") == 2
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
            assert await client.read(2) == b"ok"


async def test_proxies_may_be_chained(tmp_path: Path, upstream: Upstream) -> None:
    """As many as are let pass, one behind the other."""
    async with AsyncExitStack() as stack:
        target = upstream.url
        for number in range(MOST_PASSES):
            folder = tmp_path / str(number)
            folder.mkdir()
            running = await stack.enter_async_context(
                serving(folder, {"/": {"target": target}}, {})
            )
            target = running.url
        client, server = await running.begin(
            upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert server.head.count(b"Via: 1.1 unbuffered\r\n") == MOST_PASSES
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_the_connection_of_a_refused_request_stays_good(
    proxy: StartProxy, upstream: Upstream, method: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    via = b"Via: " + b", ".join([b"1.1 unbuffered"] * MOST_PASSES) + b"\r\n"
    request = method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    await client.send(request + via + b"\r\n")
    assert (await refusal(client))["status"] == 508
    await client.send(request + b"\r\n")
    await upstream.request()
