"""All services together: their ports, their start, their stop."""

from __future__ import annotations

import asyncio
import errno
import re
import signal
import socket
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

import upstream_demo
from proxy.system.port_holder import holder_note
from tests.demo.gate import Gate
from tests.demo.rawclient import RawClient
from tests.support.process import GUARD, ending
from upstream_demo import __main__ as command
from upstream_demo import listeners
from upstream_demo.listeners import has_ipv6_loopback, listen, port_of
from upstream_demo.services import SERVICES, Ports, reachable, start_services

ANY = Ports(events=0, ai=0, lessons=0, pages=0)
AT_ONCE = {"UNBUFFERED_DEMO_TOKEN_SECONDS": "0"}

needs_ipv6 = pytest.mark.skipif(
    not has_ipv6_loopback(), reason="this machine has no ::1"
)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_all_services_answer_on_their_ports(
    session: aiohttp.ClientSession,
) -> None:
    async with start_services(ANY, environ=AT_ONCE) as ports:
        assert len({ports.events, ports.ai, ports.lessons, ports.pages}) == 4
        assert ports.proxy == 8080
        for target in (
            f"{ports.events}/events?interval_ms=0",
            f"{ports.ai}/open",
            f"{ports.lessons}/list",
            f"{ports.pages}/",
            f"{ports.pages}/held/events?interval_ms=0",
        ):
            async with session.get(f"http://127.0.0.1:{target}") as response:
                assert response.status == 200
                await response.read()


async def test_held_before_asks_the_proxy(session: aiohttp.ClientSession) -> None:
    ports = Ports(events=0, ai=0, lessons=0, pages=0, proxy=9)
    async with start_services(ports, environ=AT_ONCE) as real:
        url = f"http://127.0.0.1:{real.pages}/held-before/events"
        async with session.get(url) as response:
            assert response.status == 502
            message = (await response.json())["error"]["message"]
    assert "http://127.0.0.1:9/sse/events" in message


@needs_ipv6
async def test_localhost_is_answered_in_both_families(
    session: aiohttp.ClientSession,
) -> None:
    async with start_services(ANY, environ=AT_ONCE) as ports:
        for port in (ports.events, ports.ai, ports.lessons, ports.pages):
            for host in ("127.0.0.1", "[::1]"):
                async with session.get(f"http://{host}:{port}/status") as response:
                    assert response.status == 200
        # The embedded endpoint is asked on the address the client came to.
        async with session.get(f"http://[::1]:{ports.ai}/open") as response:
            assert response.status == 200
            await response.read()


async def test_taken_port_is_named_with_its_service(taken_port: int) -> None:
    with pytest.raises(OSError, match="AI service: port") as caught:
        async with start_services(Ports(events=0, ai=taken_port), environ=AT_ONCE):
            pass
    assert caught.value.errno == errno.EADDRINUSE
    assert f"port {taken_port} is in use" in str(caught.value)


async def test_failed_start_leaves_no_port_behind(taken_port: int) -> None:
    free = listen("test", "127.0.0.1", 0)
    port = port_of(free)
    for each in free:
        each.close()
    with pytest.raises(OSError, match="is in use"):
        async with start_services(Ports(events=port, ai=taken_port)):
            pass
    for each in listen("test", "127.0.0.1", port):
        each.close()


async def test_taken_port_is_replaced_where_any_will_do(
    taken_port: int, session: aiohttp.ClientSession
) -> None:
    wanted = Ports(events=taken_port, ai=0, lessons=0, pages=0)
    async with start_services(wanted, any_port=True, environ=AT_ONCE) as ports:
        assert ports.events != taken_port
        # The page server fetches from where the service really is.
        url = f"http://127.0.0.1:{ports.pages}/held/events?interval_ms=0"
        async with session.get(url) as response:
            assert response.status == 200


def test_the_next_free_port_is_taken_that_nobody_else_wants(taken_port: int) -> None:
    avoided = range(taken_port + 1, taken_port + 3)
    sockets = listen("test", "127.0.0.1", taken_port, any_port=True, avoid=avoided)
    port = port_of(sockets)
    assert port > taken_port + 2 or port < taken_port  # there may be no next one
    before = listen("test", "127.0.0.1", port, any_port=True)
    assert port_of(before) != port
    for each in (*sockets, *before):
        each.close()


def test_after_the_last_port_any_will_do() -> None:
    last = listen("test", "127.0.0.1", 65535, any_port=True)  # or it is taken already
    sockets = listen("test", "127.0.0.1", 65535, any_port=True)
    assert 0 < port_of(sockets) < 65535
    for each in (*last, *sockets):
        each.close()


def test_where_binding_does_not_tell_a_port_that_answers_is_taken(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS lets two programs listen, if one of them has all addresses."""
    assert listeners.answers("127.0.0.1", taken_port)
    free = listen("test", "127.0.0.1", 0)
    port = port_of(free)
    for each in free:
        each.close()
    assert not listeners.answers("127.0.0.1", port)
    monkeypatch.setattr(listeners, "BIND_TELLS", False)
    monkeypatch.setattr(listeners, "answers", lambda *_: True)
    with pytest.raises(OSError, match="is in use"):
        listen("test", "127.0.0.1", port)


@needs_ipv6
async def test_port_taken_on_the_other_loopback_alone_is_taken_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"events: port {port} is in use"):
            listen("events", "127.0.0.1", port)
        sockets = listen("events", "127.0.0.1", port, any_port=True)
        assert port_of(sockets) != port
        for each in sockets:
            each.close()


def test_one_loopback_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "has_ipv6_loopback", lambda: False)
    sockets = listen("events", "localhost", 0)
    assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    for each in sockets:
        each.close()


def test_address_of_another_machine_is_refused_clearly() -> None:
    # TEST-NET-1 (RFC 5737): no machine has it.
    with pytest.raises(OSError, match=r"events: cannot listen on 192\.0\.2\.1:8002"):
        listen("events", "192.0.2.1", 8002)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("demo.local", "demo.local"),
    ],
)
def test_services_address_each_other_where_they_listen(host: str, address: str) -> None:
    assert reachable(host) == address


async def test_stop_breaks_streams_that_are_open(gate: Gate) -> None:
    """A stop is no clean end, and it does not wait for endless streams."""
    async with start_services(
        ANY, names=("events",), pause=gate.pause, environ=AT_ONCE
    ) as ports:
        client = await RawClient.connect(ports.events)
        await client.request("/events")
        await client.head()
        await gate.asked()
    assert await client.until_closed() == b""
    client.leave()


# -- the command --------------------------------------------------------------


class Process:
    """`python -m upstream_demo`, ended with the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, *arguments: str) -> Process:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "upstream_demo",
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD):
            return (await self.process.stdout.readline()).decode()

    async def end(self) -> tuple[int, str]:
        """Exit status and standard error."""
        async with ending(self.process), asyncio.timeout(GUARD):
            _, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_command_serves_until_it_is_stopped(number: signal.Signals) -> None:
    process = await Process.start("events", "--port", "0")
    async with ending(process.process):
        address = re.search(r"http://127\.0\.0\.1:(\d+)/events", await process.line())
        assert address is not None
        assert await process.line() == "Ctrl-C stops.\n"
        client = await RawClient.connect(int(address[1]))
        await client.request("/events")
        await client.head()
        process.process.send_signal(number)
        assert await process.end() == (0, "")
        client.leave()


async def test_command_tells_a_taken_port_in_one_line(taken_port: int) -> None:
    process = await Process.start("lessons", "--port", str(taken_port))
    status, stderr = await process.end()
    assert status == 1
    assert stderr == (
        f"upstream_demo: response lessons: port {taken_port} is in use"
        f"{holder_note('127.0.0.1', taken_port)}; stop the program that uses it, or "
        "choose another port\n"
    )


def test_command_tells_a_bad_variable_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNBUFFERED_DEMO_TOKEN_SECONDS", "fast")
    assert command.main(["ai", "--port", "0"]) == 1
    assert capsys.readouterr().err == (
        "upstream_demo: UNBUFFERED_DEMO_TOKEN_SECONDS is 'fast': it must be seconds "
        "from 0 to 60\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "1"], "--port needs a service"),
        (["events", "--port", "65536"], "'65536' is not a valid port"),
        (["events", "--port", "x"], "'x' is not a valid port"),
        (["other"], "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


def test_every_service_can_be_named() -> None:
    for name in SERVICES:
        parsed = command.read_arguments([name, "--port", "0"])
        assert (parsed.service, parsed.port) == (name, 0)


# -- the configuration --------------------------------------------------------

DEMO = Path(upstream_demo.__file__).parent / "demo.toml"
REFERENCE = Path(upstream_demo.__file__).parent.parent / "config.toml"


def test_demo_has_the_reference_routes_and_its_own() -> None:
    routes = tomllib.loads(DEMO.read_text("utf-8"))["routes"]
    reference = tomllib.loads(REFERENCE.read_text("utf-8"))["routes"]
    for prefix, route in reference.items():
        target = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", routes[prefix]["target"])
        assert {**routes[prefix], "target": target} == route
    own = set(routes) - set(reference)
    assert own == {"/echo", "/upload", "/kept", "/faults", "/refused", "/"}
    assert [prefix for prefix, route in routes.items() if route.get("ws")] == ["/echo"]


def test_demo_targets_are_the_default_ports() -> None:
    text = DEMO.read_text("utf-8")
    defaults = Ports()
    for name in SERVICES:
        port = getattr(defaults, name)
        assert f"${{UNBUFFERED_DEMO_{name.upper()}_PORT:-{port}}}" in text
