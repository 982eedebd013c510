"""`unbuffered drain`, and the delay before a drain, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.looking import answer, asked, request
from tests.support.ports import ClosedPort
from tests.support.process import EVENTS, GET, GUARD, OTHER, ROOT, Process, ending
from tests.support.raw import Peer, Upstream, chunk

# What is tested has an event loop of its own in each process.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]

END = b"0\r\n\r\n"
Start = Callable[..., Awaitable[Process]]
WORKERS = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
async def start(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Start]:
    started: list[Process] = []
    path = tmp_path / "config.toml"

    async def begin(**server: object) -> Process:
        file = Process(path, None)  # type: ignore[arg-type]  # to write it by
        route = {"target": upstream.url, "upstream_keepalive_seconds": 0}
        file.write({"/a": route}, **server)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "proxy", "serve", "--config", str(path)),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(Process(path, process))
        banner = await started[-1].line("Unbuffered")
        started[-1].port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
        await started[-1].line("Ctrl-C stops")
        return started[-1]

    yield begin
    for each in started:
        for client in each.clients:
            client.writer.transport.abort()
        if each.process.returncode is None:
            os.killpg(each.process.pid, signal.SIGKILL)
        await each.ended()
        assert each.process.stderr is not None
        each.told += (await each.process.stderr.read()).decode()
        assert "Traceback" not in each.told


class Command:
    """A running `unbuffered drain`, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, pattern: str) -> str:
        """The next line that it prints and that has the pattern in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD):
            while data := await self.process.stdout.readline():
                if re.search(pattern, line := data.decode()):
                    return line
        raise AssertionError(f"it ended without {pattern!r}")

    async def ended(self) -> tuple[int, str]:
        """Its exit status, and what it says on standard error."""
        assert self.process.stderr is not None
        async with ending(self.process), asyncio.timeout(GUARD):
            errors = (await self.process.stderr.read()).decode()
            assert "Traceback" not in errors
            return await self.process.wait(), errors


Drain = Callable[..., Awaitable[Command]]


@pytest.fixture
async def drain() -> AsyncIterator[Drain]:
    started: list[Command] = []

    async def begin(*arguments: str) -> Command:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "proxy", "drain", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        started.append(Command(process))
        return started[-1]

    yield begin
    for each in started:
        async with ending(each.process):
            pass


def at(process: Process) -> str:
    """Its address on the command line."""
    return f"--url=http://127.0.0.1:{process.port}"


async def in_each_worker(
    process: Process, upstream: Upstream
) -> list[tuple[Peer, Peer]]:
    """A stream in each worker: its client, and the upstream's end of it."""
    streams = []
    for path in sorted(process.path.parent.glob("unbuffered-*/*.sock")):
        client = Peer(*await asyncio.open_unix_connection(path))
        process.clients.append(client)
        await client.send(GET)
        server = await upstream.request()
        await server.send(OTHER)
        await client.read_head()
        streams.append((client, server))
    return streams


def kill_a_child(process: int) -> None:
    children = Path(f"/proc/{process}/task/{process}/children").read_text()
    os.kill(int(children.split()[0]), signal.SIGKILL)


# -- the command ------------------------------------------------------------------


@WORKERS
async def test_it_waits_for_the_last_stream(
    start: Start, drain: Drain, upstream: Upstream, workers: int
) -> None:
    process = await start(drain_seconds=600, workers=workers)
    client, server = await process.begin(upstream, OTHER)
    command = await drain(at(process))
    await command.line(r"^draining for up to .* s; 1 exchange open$")
    await process.line("draining 1 exchange for up to 600 s")
    with pytest.raises(ConnectionRefusedError):
        await process.client()
    await server.send(chunk(b"more"))
    assert await client.read_chunk() == b"more"
    await server.send(END)
    assert await client.read_chunk() == b""
    await command.line(r"^drained$")
    assert await command.ended() == (0, "")
    assert await process.ended() == 0


async def test_the_streams_of_all_workers_are_counted(
    start: Start, drain: Drain, upstream: Upstream
) -> None:
    process = await start(drain_delay_seconds=900, drain_seconds=600, workers=3)
    streams = await in_each_worker(process, upstream)
    commands = [await drain(at(process)) for _ in range(2)]
    for each in commands:
        await each.line("^not ready; .*; 3 exchanges open$")
    for number in (signal.SIGTERM, signal.SIGINT):  # the second ends the delay
        process.process.send_signal(number)
    for left, (client, server) in zip((3, 2, 1), streams, strict=True):
        noun = "exchange" if left == 1 else "exchanges"
        for each in commands:
            await each.line(f"draining .*; {left} {noun} open")
        await server.send(END)
        assert await client.read_chunk() == b""
    for each in commands:
        await each.line("^drained$")
        assert await each.ended() == (0, "")
    assert await process.ended() == 0


@pytest.mark.parametrize("delay", [0, 900])
@pytest.mark.parametrize("query", ["", "?wait=0"])
async def test_the_first_answer_counts_the_streams_of_all_workers(
    start: Start, upstream: Upstream, delay: float, query: str
) -> None:
    """Whichever worker is asked, also for one that had not begun it."""
    process = await start(drain_delay_seconds=delay, drain_seconds=600, workers=3)
    streams = await in_each_worker(process, upstream)
    state = "delay" if delay else "draining"
    for _ in range(6 if delay else 1):
        peer = await process.client()
        await peer.send(request(f"drain{query}").replace(b"GET", b"POST", 1))
        if query:
            status, body = await answer(peer)
            assert status == 202
        else:
            await peer.read_head()
            body = await peer.read_chunk()
        told = json.loads(body)
        assert (told["state"], told["exchanges"]) == (state, 3)
    assert len(streams) == 3


@WORKERS
async def test_what_was_cut_is_an_exit_status(
    start: Start, drain: Drain, upstream: Upstream, workers: int
) -> None:
    process = await start(drain_seconds=0.2, workers=workers)
    client, _ = await process.begin(upstream, OTHER)
    command = await drain("--config", str(process.path), at(process))
    await command.line("^drained; 1 exchange cut$")
    assert await command.ended() == (3, "")
    assert await client.read_rest() == b""
    assert await process.ended() == 3


@WORKERS
async def test_the_delay_is_told_and_a_second_signal_ends_it(
    start: Start, drain: Drain, upstream: Upstream, workers: int
) -> None:
    """The first one after the command is none of haste: Kubernetes sends it always."""
    process = await start(drain_delay_seconds=900, drain_seconds=600, workers=workers)
    client, server = await process.begin(upstream, OTHER)
    command = await drain(at(process))
    await command.line(r"^not ready; the drain begins in [\d.]+ s; 1 exchange open$")
    assert (await asked(process, "ready", host="10.0.0.1"))[0] == 503
    process.process.send_signal(signal.SIGTERM)
    other, source = await process.begin(upstream, EVENTS)  # it is served as before
    await source.send(chunk(b"data: 1\n\n"))
    assert await other.read_chunk() == b"data: 1\n\n"
    await command.line("^not ready; .*; 2 exchanges open$")
    # Another one: two of the same that wait for a process are one.
    process.process.send_signal(signal.SIGINT)
    await command.line("^draining for up to .* s; [12] exchanges? open$")
    await process.line("draining ")  # all workers, not just the one that was asked
    await source.send(chunk(b"data: 2\n\n"))
    assert await other.read_body() == b"data: 2\n\n"
    await server.send(END)
    assert await client.read_chunk() == b""
    await command.line("^drained$")
    assert await command.ended() == (0, "")
    assert await process.ended() == 0


async def test_without_waiting_it_has_begun_when_the_command_ends(
    start: Start, drain: Drain, upstream: Upstream
) -> None:
    process = await start(drain_seconds=600)
    client, server = await process.begin(upstream, OTHER)
    command = await drain(at(process), "--no-wait")
    assert await command.ended() == (0, "")
    await process.line("draining 1 exchange")
    process.process.send_signal(signal.SIGTERM)
    for _ in range(3):  # it has seen the signal when it relays what came after it
        await server.send(chunk(b"more"))
        assert await client.read_chunk() == b"more"
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 143


async def test_a_time_limit_ends_the_command_and_not_the_drain(
    start: Start, drain: Drain, upstream: Upstream
) -> None:
    process = await start(drain_seconds=600)
    client, server = await process.begin(upstream, OTHER)
    command = await drain(at(process), "--timeout", "0.5")
    status, errors = await command.ended()
    assert status == 4
    assert "after 0.5 s (--timeout); the drain continues" in errors
    await server.send(chunk(b"more") + END)
    assert await client.read_body() == b"more"
    assert await process.ended() == 0


async def test_a_proxy_that_is_killed_meanwhile_is_an_error(
    start: Start, drain: Drain, upstream: Upstream
) -> None:
    process = await start(drain_seconds=600)
    await process.begin(upstream, OTHER)
    command = await drain(at(process))
    await command.line("^draining")
    process.process.kill()
    status, errors = await command.ended()
    assert (status, "broke before the end of the drain" in errors) == (1, True)


async def test_a_second_signal_is_told_as_the_end(
    start: Start, drain: Drain, upstream: Upstream
) -> None:
    process = await start(drain_seconds=600)
    client, server = await process.begin(upstream, OTHER)
    command = await drain(at(process))
    await command.line("^draining")
    process.process.send_signal(signal.SIGTERM)
    for _ in range(3):
        await server.send(chunk(b"more"))
        assert await client.read_chunk() == b"more"
    process.process.send_signal(signal.SIGTERM)
    await command.line("^drained; 1 exchange cut$")
    assert await command.ended() == (3, "")
    assert await process.ended() == 143


async def test_by_tls_the_address_comes_from_the_configuration(
    start: Start, drain: Drain, upstream: Upstream, authority: Authority
) -> None:
    """On this machine any certificate will do: it is that of a public name."""
    process = await start(**authority.server)
    route, port = {"target": upstream.url}, process.port
    process.write({"/a": route}, host="0.0.0.0", **{**authority.server, "port": port})
    command = await drain("--config", str(process.path))
    await command.line("^drained$")
    assert await command.ended() == (0, "")
    assert await process.ended() == 0


# -- what is in its way


@pytest.mark.parametrize(
    ("response", "words"),
    [
        pytest.param(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            r"is not Unbuffered \(404\)",
            id="another server",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            r"is not Unbuffered \(200\)",
            id="another one that takes anything",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
            r"is not Unbuffered \(200\)",
            id="JSON of another kind",
        ),
        pytest.param(b"SSH-2.0-x\r\n", "does not answer in HTTP/1.1", id="no HTTP"),
        pytest.param(b"", "closed the connection without an answer", id="nothing"),
        pytest.param(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "needs a token: .*--token",
            id="no token",
        ),
        pytest.param(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 28\r\n\r\n"
            b'{"error":{"message": "why"}}',
            "does not begin a drain: why",
            id="not allowed",
        ),
    ],
)
async def test_who_does_not_drain_is_named(
    drain: Drain, upstream: Upstream, response: bytes, words: str
) -> None:
    command = await drain("--url", upstream.url)
    server = await upstream.request()
    assert server.head_lines[0] == b"POST /_unbuffered/drain HTTP/1.1"
    await server.send(response)
    server.close()
    status, errors = await command.ended()
    assert status == 1
    assert errors.startswith("unbuffered: ")
    assert re.search(words, errors), errors


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(["--url", "{free}"], 1, "nothing listens at {free}", id="nobody"),
        pytest.param(["--url", "ftp://x"], 1, "not a valid URL", id="no URL"),
        pytest.param(["--url", "http://x:y"], 1, "not a valid URL", id="no port"),
        pytest.param(["--config", "none.toml"], 2, "none.toml", id="no such file"),
        pytest.param(["--timeout", "-1"], 2, "--timeout", id="no time"),
        pytest.param(["--timeout", "nan"], 2, "--timeout", id="no number"),
        pytest.param(
            ["--url", "{free}", "--token", "é\n"], 1, "characters", id="no token"
        ),
    ],
)
async def test_what_cannot_be_asked_is_told(
    drain: Drain, arguments: list[str], status: int, words: str
) -> None:
    with ClosedPort() as port:
        command = await drain(*(each.format(free=port.url) for each in arguments))
        found, errors = await command.ended()
    assert found == status
    assert words.format(free=port.url) in errors


# -- the delay ----------------------------------------------------------------------


@WORKERS
async def test_in_the_delay_new_connections_are_served(
    start: Start, upstream: Upstream, workers: int
) -> None:
    process = await start(drain_delay_seconds=900, workers=workers)
    process.process.send_signal(signal.SIGTERM)
    await process.line("the drain begins in 900 s (drain_delay_seconds)")
    for _ in range(8):  # that more than one worker gets some
        while (await asked(process, "ready", host="10.0.0.1"))[0] != 503:
            pass  # a worker hears of it a moment later
        client = await process.client()
        await client.send(GET + request("health"))
        server = await upstream.request()
        await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")
        assert (await client.read_head()).startswith(b"HTTP/1.1 503 ")
    process.process.send_signal(signal.SIGINT)  # it skips the delay
    assert await process.ended() == 0


@WORKERS
async def test_a_third_signal_ends_all_at_once(
    start: Start, upstream: Upstream, workers: int
) -> None:
    process = await start(drain_delay_seconds=900, drain_seconds=600, workers=workers)
    client, server = await process.begin(upstream, OTHER)
    process.process.send_signal(signal.SIGTERM)
    await process.line("the drain begins in")
    process.process.send_signal(signal.SIGTERM)
    await process.line("draining 1 exchange for up to 600 s")
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 143
    assert await client.read_rest() == b""
    await server.closed()


@WORKERS
async def test_the_delay_ends_by_itself(start: Start, workers: int) -> None:
    process = await start(drain_delay_seconds=0.3, workers=workers)
    idle = await process.client()
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert await idle.read_rest() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
async def test_a_worker_that_dies_in_the_delay_keeps_nobody_waiting(
    start: Start, upstream: Upstream
) -> None:
    """It is not replaced: its share of the connections is for the others."""
    process = await start(drain_delay_seconds=900, workers=2)
    process.process.send_signal(signal.SIGTERM)
    await process.line("the drain begins in")
    kill_a_child(process.process.pid)
    await process.line("was killed by SIGKILL")
    for _ in range(16):
        assert (await asked(process, "health"))[0] == 503
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 3
