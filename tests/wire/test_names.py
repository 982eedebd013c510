"""Names that take long to resolve cost their own target, and nothing else."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.messages import OK
from tests.support.names import STUCK, NameServer
from tests.support.process import Process, ending
from tests.support.raw import Peer, Upstream, became, idle
from tests.support.running import RunningProxy

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
# More than any pool of threads has: asyncio's has 32 at most, libuv's 4.
MANY = 40


async def served(upstream: Upstream, *clients: Peer) -> None:
    for _ in clients:
        server = await upstream.request()
        await server.send(OK)
    for client in clients:
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.read(2) == b"ok"


async def ask(running: RunningProxy, path: bytes) -> Peer:
    client = await running.client()
    await client.send(GET % path)
    return client


async def test_one_look_up_is_shared_by_all_who_wait_for_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    target = f"http://slow.example:{upstream.port}"
    with NameServer("slow.example") as names:
        running = await proxy(
            {"/": {"target": target}, "/b": {"target": target, "verify": False}}
        )
        clients = [await ask(running, b"b" * (n % 2)) for n in range(6)]
        await running.connected(6)
        await idle()
        names.answer("slow.example")
        await served(upstream, *clients)
        assert names.asked == ["slow.example"]


async def test_a_slow_name_holds_up_no_other_however_many_there_are(
    proxy: StartProxy, upstream: Upstream
) -> None:
    slow = [f"slow{n}.example" for n in range(MANY)]
    with NameServer(*slow, "quick.example") as names:
        names.answer("quick.example")
        routes = {f"/{name}": {"target": f"http://{name}"} for name in slow}
        quick = {"target": f"http://quick.example:{upstream.port}"}
        running = await proxy({**routes, "/": quick})
        for name in slow:
            await ask(running, name.encode())
        await became(lambda: sorted(names.asked) == sorted(slow))
        await served(upstream, await ask(running, b""))


async def test_who_leaves_leaves_the_look_up_to_the_others(
    proxy: StartProxy, upstream: Upstream
) -> None:
    target = f"http://slow.example:{upstream.port}"
    with NameServer("slow.example") as names:
        running = await proxy({"/": {"target": target}})
        for _ in range(3):
            (await ask(running, b"")).close()
            assert (await running.ended()).ending is Ending.CLIENT_LEFT
        resolver = running.server.compiled.upstreams.resolver
        await became(lambda: not resolver.waiting["slow.example"])  # none is kept
        client = await ask(running, b"")
        await became(lambda: len(resolver.waiting["slow.example"]) == 1)
        names.answer("slow.example")
        await served(upstream, client)
        assert names.asked == ["slow.example"]
        assert not resolver.waiting


async def test_a_look_up_outlives_a_reload(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    target = f"http://slow.example:{upstream.port}"
    with NameServer("slow.example") as names:
        running = await proxy({"/": {"target": target}})
        first = await ask(running, b"")
        await became(lambda: names.asked == ["slow.example"])
        path = tmp_path / "other.toml"
        path.write_text(f'[routes."/"]\ntarget = "{target}/new"\n', "utf-8")
        await running.server.reload(load(path, {}, {"server.port": 0}))
        second = await ask(running, b"")
        await running.connected(2)
        await idle()
        names.answer("slow.example")
        await served(upstream, first, second)
        assert names.asked == ["slow.example"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "Temporary failure in name resolution",
            id="the name server says so",
        ),
        pytest.param(UnicodeError("label too long"), "label too long", id="no name"),
        pytest.param(MemoryError("odd"), "odd", id="anything else"),
    ],
)
async def test_a_look_up_that_fails_is_told_to_all_and_tried_again(
    proxy: StartProxy, upstream: Upstream, fault: Exception, words: str
) -> None:
    with NameServer("slow.example") as names:
        names.fault = fault
        target = f"http://slow.example:{upstream.port}"
        running = await proxy({"/": {"target": target}})
        clients = [await ask(running, b"") for _ in range(2)]
        await running.connected(2)
        await idle()
        names.answer("slow.example")
        for client in clients:
            assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
            error = json.loads(await client.read_until(b"\n}\n"))["error"]
            assert error["type"] == "dns_error"
            assert error["message"] == (
                f"the host name 'slow.example' cannot be resolved: {words}"
            )
        names.fault = None
        await served(upstream, await ask(running, b""))
        assert names.asked == ["slow.example"] * 2


@pytest.mark.parametrize("leaves", [True, False], ids=["client left", "client waits"])
async def test_a_look_up_that_never_ends_does_not_hold_up_the_end_of_the_process(
    tmp_path: Path, leaves: bool
) -> None:
    kind = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.names", kind, "serve"),
        *("--route", f"/=http://{STUCK}", "--port", "0"),
        stdout=PIPE,
        stderr=PIPE,
    )
    async with ending(started):
        process = Process(tmp_path / "config.toml", started)
        line = await process.line("http://127.0.0.1:")
        process.port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        client = await process.client()
        await client.send(GET % b"")
        await process.line(f"asked for {STUCK}")
        if leaves:
            client.close()
            assert process.process.stdout is not None
            await process.process.stdout.readline()  # the access log tells that it left
        process.process.terminate()
        if not leaves:
            await process.line("draining 1 exchange")
            process.process.terminate()
        status = await process.ended()
        client.close()
    assert status == (0 if leaves else 128 + signal.SIGTERM)
