"""`unbuffered top`, against a proxy that runs."""

from __future__ import annotations

import asyncio
import sys

import pytest

from proxy.cli.main import main
from tests.conftest import StartProxy
from tests.support.process import GUARD, ending
from tests.support.raw import Upstream

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


async def run_top(url: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy", "top", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with ending(process), asyncio.timeout(GUARD):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.asyncio(loop_factories=["asyncio"])  # it has an event loop of its own
async def test_into_a_pipe_it_prints_what_there_is(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"GET /x?token=abc HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    await server.send(STREAM)
    await client.read_head()
    status, output, errors = await run_top(running.url)
    assert (status, errors) == (0, "")
    heading, line = output.splitlines()
    assert heading.split()[0] == "AGE"
    assert "/x?token=****" in line
    assert "event-stream" in line


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_is_no_proxy_is_refused_in_words(upstream: Upstream) -> None:
    asked = asyncio.ensure_future(run_top(upstream.url))
    server = await upstream.request(GUARD)
    await server.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    status, output, errors = await asked
    assert (status, output) == (1, "")
    assert errors.startswith(f"unbuffered: {upstream.url} does not show its streams")


@pytest.mark.parametrize("url", ["ftp://localhost", "http://", "http://a:b"])
def test_what_is_no_address_is_refused_in_words(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", url]) == 1
    assert capsys.readouterr().err.startswith(f"unbuffered: {url} is not a valid URL")
