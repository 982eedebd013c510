"""`unbuffered.Proxy` on a loop in a thread of its own, for programs without one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import unbuffered
from proxy.library.loop_thread import LoopThread
from tests.support.raw import GUARD, chunk
from unbuffered.testing import ScriptedOrigin

ROOT = Path(__file__).parents[2]
NOWHERE = {"/": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def dial(proxy: unbuffered.Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), GUARD)
    client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read up to and with `end`, and not beyond it."""
    data = b""
    while not data.endswith(end):
        piece = sock.recv(1)
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def test_each_event_arrives_before_the_next_is_sent(
    stream_origin: ScriptedOrigin,
) -> None:
    with unbuffered.Proxy({"/": stream_origin.url}) as proxy, dial(proxy) as client:
        request = stream_origin.request().result()
        request.respond()
        read_until(client, b"\r\n\r\n")
        for number in (1, 2):
            request.send_event(number)
            event = chunk(b"data: %d\n\n" % number)
            assert read_until(client, event) == event
            (running,) = proxy.exchanges()
            assert running.running
        request.finish()
        read_until(client, chunk(b""))
        (ended,) = proxy.wait_ended().result()
        assert (ended.ending, ended.bytes_sent) == ("complete", 18)
    assert proxy.exchanges() == [ended]


def test_it_can_be_started_and_stopped_again_and_again() -> None:
    proxy = unbuffered.Proxy(NOWHERE)
    proxy.stop()  # there is nothing to stop
    for _ in range(2):
        assert proxy.start() is proxy
        assert proxy.running
        with pytest.raises(RuntimeError, match="runs already"):
            proxy.start()
        dial(proxy).close()
        proxy.stop()
        proxy.stop()
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)


def test_a_start_that_fails_leaves_no_thread() -> None:
    with unbuffered.Proxy(NOWHERE) as proxy:
        other = unbuffered.Proxy(NOWHERE, port=proxy.port)
        with pytest.raises(unbuffered.ConfigError, match="using this port"):
            other.start()
        assert not other.running


def test_what_begins_without_a_start_says_so() -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        unbuffered.Proxy(NOWHERE).drain()


def test_reload_and_drain_are_waited_for_by_result(
    stream_origin: ScriptedOrigin,
) -> None:
    with unbuffered.Proxy(NOWHERE) as proxy:
        proxy.reload({"/": stream_origin.url}).result()
        with dial(proxy) as client:
            stream_origin.request().result().respond()
            read_until(client, b"\r\n\r\n")
            assert proxy.drain(0).result() == 1
        with pytest.raises(unbuffered.ConfigError):
            unbuffered.Proxy({"/": "nothing"})


async def test_it_is_awaited_from_another_loop(stream_origin: ScriptedOrigin) -> None:
    with unbuffered.Proxy(NOWHERE) as proxy:
        await proxy.reload({"/": stream_origin.url})
        with dial(proxy):
            (await stream_origin.request()).cut()
            (ended,) = await proxy.wait_ended()
            assert ended.ending == "upstream broke"
        waiting = asyncio.ensure_future(proxy.wait_ended(2))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_many_threads_ask_at_once() -> None:
    with (
        unbuffered.Proxy(NOWHERE) as proxy,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):

        def ask(number: int) -> int:
            with dial(proxy) as client:
                read_until(client, b"\r\n\r\n")
            return len(proxy.exchanges())

        assert max(pool.map(ask, range(32))) <= 32
        assert len(proxy.wait_ended(32).result()) == 32


# -- what cannot be


async def test_a_result_on_its_own_loop_would_wait_for_itself() -> None:
    async with unbuffered.Proxy(NOWHERE) as proxy:
        pending = proxy.drain(0)
        with pytest.raises(RuntimeError, match="own event loop: await it instead"):
            pending.result()
        assert await pending == 0
        assert pending.result() == 0  # it is there
        with pytest.raises(RuntimeError, match="leave the async with block"):
            proxy.stop()


def test_it_cannot_be_stopped_in_its_own_thread() -> None:
    found: list[BaseException] = []

    def stop(exchange: unbuffered.Exchange) -> None:
        try:
            proxy.stop()
        except RuntimeError as error:
            found.append(error)

    with unbuffered.Proxy({"/none": "http://127.0.0.1:1"}) as proxy:
        proxy.on_end(stop)
        with dial(proxy):
            proxy.wait_ended().result()
    assert "own thread" in str(found[0])


def test_async_with_says_that_it_needs_an_event_loop() -> None:
    coroutine = unbuffered.Proxy(NOWHERE).__aenter__()
    with pytest.raises(RuntimeError, match=r"use with Proxy\(…\)"):
        coroutine.send(None)


def test_what_is_awaited_without_asyncio_says_what_to_do() -> None:
    """As with trio, whose loop is none of asyncio."""
    with unbuffered.Proxy(NOWHERE) as proxy:
        pending = proxy.wait_ended()
        with pytest.raises(RuntimeError, match=r"call result\(\) instead"):
            next(pending.__await__())
        with pytest.raises(concurrent.futures.CancelledError):  # it takes nothing away
            pending.result()


def test_a_wait_has_a_limit_and_says_what_was_waited_for() -> None:
    with (
        unbuffered.Proxy(NOWHERE) as proxy,
        pytest.raises(TimeoutError, match="wait_ended has not ended after 0 s"),
    ):
        proxy.wait_ended().result(0)


def test_what_is_left_under_way_is_cancelled_at_the_end() -> None:
    thread = LoopThread("test")
    begun = threading.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    pending = thread.begin("forever", forever)
    begun.wait(GUARD)
    thread.stop()
    thread.stop()
    with pytest.raises(concurrent.futures.CancelledError):
        pending.result()
    with pytest.raises(RuntimeError, match="its event loop is closed"):
        thread.begin("forever", forever)


# -- forks and ends of processes

FORKS = """
import os, socket, sys, threading
import unbuffered

def ask(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        return client.recv(12)

proxy = unbuffered.Proxy({"/none": "http://127.0.0.1:1"})
WITH
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        REST
    else:
        try:
            proxy.drain()
        except RuntimeError as error:
            assert "fork" in str(error), error
        else:
            os._exit(1)
        proxy.exchanges()
if not child:
    os._exit(0)
print("parent ended")
"""
IN_THREAD = FORKS.replace("WITH", "with proxy:").replace(
    "REST", "assert ask(proxy) == b'HTTP/1.1 404', 'gone'"
)
IN_LOOP = (
    FORKS.replace("WITH", "async with proxy:")
    .replace("REST", "assert await asyncio.to_thread(ask, proxy) == b'HTTP/1.1 404'")
    .replace("proxy = unb", "async def main():\n  proxy = unb")
)


def in_function(script: str) -> str:
    """The part after the first empty lines, as a coroutine that is run."""
    before, _, rest = script.partition("async def main():\n")
    lines = [
        f"  {line.strip() if number == 0 else line}"
        for number, line in enumerate(rest.splitlines())
    ]
    return (
        f"import asyncio\n{before}async def main():\n"
        + "\n".join(lines)
        + "\nasyncio.run(main())\n"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(IN_THREAD, id="thread"),
        pytest.param(in_function(IN_LOOP), id="loop"),
    ],
)
def test_a_child_by_fork_leaves_the_proxy_of_its_parent_alone(script: str) -> None:
    assert run(script) == "parent ended\n"


def test_a_program_that_forgets_the_end_ends_all_the_same() -> None:
    script = "import unbuffered; unbuffered.Proxy({'/': 'http://a'}).start(); print(1)"
    assert run(script) == "1\n"


def run(script: str) -> str:
    """A script in a process of its own; it says nothing on standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("call", ["drain", "stop"])
def test_a_drain_is_cut_short_from_another_thread(
    call: str, stream_origin: ScriptedOrigin
) -> None:
    proxy = unbuffered.Proxy({"/": stream_origin.url}).start()
    with dial(proxy) as client:
        stream_origin.request().result().respond()
        read_until(client, b"\r\n\r\n")
        waiting = proxy.drain(600)
        if call == "drain":
            assert proxy.drain(0).result(GUARD) == 1
        else:
            proxy.stop(0)
        assert waiting.result(GUARD) == 1
        assert not proxy.running
        proxy.stop()


def test_a_proxy_that_has_drained_starts_again_in_one_thread() -> None:
    before = set(threading.enumerate())
    proxy = unbuffered.Proxy(NOWHERE)
    for _ in range(3):
        proxy.start()
        proxy.drain(0).result()
        assert len(set(threading.enumerate()) - before) == 1
    proxy.start().stop()
    assert set(threading.enumerate()) == before


def test_a_proxy_that_has_drained_starts_again_on_the_loop_of_its_host() -> None:
    before = set(threading.enumerate())
    proxy = unbuffered.Proxy(NOWHERE).start()
    proxy.drain(0).result()

    async def again() -> None:
        async with proxy:
            assert proxy.running
            assert set(threading.enumerate()) == before

    asyncio.run(again())


def test_its_own_thread_cannot_start_it_again() -> None:
    proxy = unbuffered.Proxy(NOWHERE).start()
    thread = proxy._loop
    assert isinstance(thread, LoopThread)
    proxy.drain(0).result()
    with pytest.raises(RuntimeError, match=r"start\(\) cannot be called in the"):
        thread.call("start", proxy.start)
    proxy.stop()


def test_a_port_that_is_taken_is_told_in_the_words_of_the_library(
    tmp_path: Path,
) -> None:
    told = r"using this port.*; .*choose another port with "
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(unbuffered.ConfigError, match=f"{told}port=$"):
            unbuffered.Proxy(NOWHERE, port=port).start()
        path = tmp_path / "config.toml"
        route = '[routes."/"]\ntarget = "http://127.0.0.1:1"\n'
        path.write_text(f"[server]\nport = 0\n{route}", "utf-8")
        with unbuffered.Proxy.from_file(path) as proxy:
            path.write_text(f"[server]\nport = {port}\n{route}", "utf-8")
            with pytest.raises(unbuffered.ConfigError, match=f"{told}port=$"):
                proxy.reload().result()
