"""`unbuffered top`, against a proxy that runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.cli.main import main
from tests.conftest import StartProxy
from tests.support.answers import answered, ask
from tests.support.process import GUARD, ending
from tests.support.raw import Upstream
from tests.support.running import document

TOKEN = "hunter2/hunter2+hunter2="
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


async def run_top(
    *arguments: str, environ: Mapping[str, str] = {}
) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy", "top", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environ},
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


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_whatever_it_is_told_the_terminal_does_not_obey_it(
    upstream: Upstream,
) -> None:
    """What is told of an exchange, or a target, may be from a peer."""
    nasty = "a\x1b[31m\x1b]0;pwn\x07\x9b2J\u202e\nb"
    row = {
        **dict.fromkeys(("target", "method", "kind", "error", "ending"), nasty),
        **dict.fromkeys(("id", "phase"), "over"),
        **dict.fromkeys(("started", "duration", "longest_gap", "longest_hold"), 1.0),
        **dict.fromkeys(("pieces", "bytes", "status"), 200),
        "first_byte": None,
    }
    told = {
        "state": {"version": "1", "workers": 1},
        "exchanges": {"now": 1.0, "open": [], "ended": [row], "gone": []},
        "warnings": [{"text": nasty}],
    }
    feed = "".join(
        f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told.items()
    )
    asked = asyncio.ensure_future(run_top(upstream.url, "--once"))
    server = await upstream.request(GUARD)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    await server.send(head + feed.encode())
    status, output, errors = await asked
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == 3
    assert all(each.isprintable() for each in lines)
    assert lines[0] == "! " + r"a\x1b[31m\x1b]0;pwn\x07\x9b2J\u202e\nb"


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_refusal_cannot_steer_the_terminal_either(upstream: Upstream) -> None:
    asked = asyncio.ensure_future(run_top(upstream.url))
    server = await upstream.request(GUARD)
    head = b"HTTP/1.1 429 No\r\nRetry-After: 1\x1b[2J\r\nContent-Length: 0\r\n\r\n"
    await server.send(head)
    status, _, errors = await asked
    assert status == 1
    assert errors.endswith("try again in 1\\x1b[2J s\n")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_proxy_without_an_inspector_says_which_key_it_may_be(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/x": {"target": upstream.url}}, inspector={"enabled": False}
    )
    status, _, errors = await run_top(running.url)
    assert status == 1
    assert "does not show its streams (404)" in errors
    assert "its [inspector] enabled is false, or " in errors


@pytest.mark.parametrize("url", ["ftp://localhost", "http://", "http://a:b"])
def test_what_is_no_address_is_refused_in_words(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", url]) == 1
    assert capsys.readouterr().err.startswith(f"unbuffered: {url} is not a valid URL")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_it_shows_the_token_that_it_is_given(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"token": TOKEN})
    url, routes = running.url, {"/": {"target": upstream.url}}
    path = tmp_path / "its.toml"
    table = {"port": running.port, "host": "0.0.0.0"}
    path.write_text(
        document(routes, {"server": table, "inspector": {"token": "${IN_FILE}"}})
    )
    link = f"{url}/_unbuffered/?token={quote(TOKEN, safe='')}"
    for arguments, environ in (
        ([url, "--token", TOKEN], {}),
        ([url], {"UNBUFFERED_TOKEN": TOKEN}),
        ([link], {}),
        (["--config", str(path)], {"IN_FILE": TOKEN}),
        ([url, "--token", TOKEN], {"UNBUFFERED_TOKEN": "another-token-of-it"}),
        (["--config", str(path), "--token", TOKEN], {"IN_FILE": "x" * 16}),
    ):
        status, output, errors = await run_top(*arguments, environ=environ)
        assert (status, errors) == (0, ""), arguments
        assert output.startswith("  AGE") or output.startswith("AGE"), output


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_what_it_needs_is_told_and_the_token_never_is(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"token": TOKEN})
    for arguments, said in (
        ([], "needs a token: set the environment variable UNBUFFERED_TOKEN"),
        (["--token", "hunter2"], "does not accept this token"),
        (["--token", "hunter2\n"], "the token has characters that no token can have"),
        (["--token", "hunter2你"], "the token has characters that no token can have"),
    ):
        status, output, errors = await run_top(running.url, *arguments)
        assert (status, output) == (1, "")
        assert said in errors
        assert "hunter2" not in errors
        assert errors.count("\n") == 1
    for _ in range(12):
        await answered(await running.client(), ask("", "Authorization: Bearer x\r\n"))
    wrong = f"{running.url}/_unbuffered/?token=hunter2"
    status, _, errors = await run_top(wrong)
    assert "got too many wrong tokens: try again in " in errors
    assert "hunter2" not in errors
    path = tmp_path / "faulty.toml"
    path.write_text("[server]\nport = 'x'\n")
    status, _, errors = await run_top("--config", str(path))
    assert status == 2
    assert errors.startswith(f"unbuffered: {path}: line 2: [server] port: ")
