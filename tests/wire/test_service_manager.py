"""systemd: what it is told, and the sockets that it has opened."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config.load import from_routes
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.process.service_manager import service_manager
from proxy.process.socket_activation import NONE_GIVEN, given_sockets
from tests.conftest import ManualClock
from tests.support.looking import answer, request
from tests.support.process import GUARD, OTHER, ROOT, Process, ending
from tests.support.raw import Peer, Upstream, connect
from tests.support.running import document

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is on Linux")
COMMAND = pytest.mark.asyncio(loop_factories=["asyncio"])
OWN = str(os.getpid())
# Like systemd: the sockets are descriptors from 3 on, and the process keeps its number.
ACTIVATED = """
import fcntl, os, sys
held = os.environ.pop("HELD").split()
held = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in held]
for place, each in enumerate(held, 3):
    os.dup2(each, place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "proxy", *sys.argv[1:]])
"""


class Manager:
    """The end of systemd."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.setblocking(False)
        self.path = path

    async def told(self) -> list[str]:
        """The lines of the next message."""
        async with asyncio.timeout(GUARD):
            data = await asyncio.get_running_loop().sock_recv(self.sock, 4096)
        return data.decode().split("\n")

    async def told_but_signs(self) -> list[str]:
        """The next message that is not a sign of life."""
        while (lines := await self.told()) == ["WATCHDOG=1"]:
            pass
        return lines


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = f"{tmp_path}/notify"
    made = Manager(path if request.param == "path" else f"\0{path}")
    yield made
    made.sock.close()


@asynccontextmanager
async def started(
    folder: Path,
    upstream: Upstream,
    environ: dict[str, str],
    sockets: tuple[socket.socket, ...] = (),
    **server: object,
) -> AsyncIterator[Process]:
    """The command, as systemd starts it."""
    path = folder / "config.toml"
    table = {"port": 0, "drain_seconds": 1, **server}
    path.write_text(
        document(
            {"/a": {"target": upstream.url}},
            {"server": table, "log": {"access": False}},
        ),
        "utf-8",
    )
    fds = [each.fileno() for each in sockets]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ACTIVATED, "serve", "--config", str(path)),
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        pass_fds=fds,
        env={
            **os.environ,
            "TMPDIR": str(folder),
            "HELD": " ".join(map(str, fds)),
            **environ,
        },
    )
    process = Process(path, child)
    async with ending(child):
        yield process
        for client in process.clients:
            client.writer.transport.abort()


# -- what it is told


@COMMAND
@pytest.mark.parametrize("workers", [1, 2])
async def test_it_is_told_of_start_reload_and_end(
    tmp_path: Path, upstream: Upstream, manager: Manager, workers: int
) -> None:
    address = manager.path.replace("\0", "@")
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    async with started(tmp_path, upstream, environ, workers=workers) as process:
        await process.line("Ctrl-C")
        assert await manager.told_but_signs() == ["READY=1", "STATUS=serving"]
        for text in ("", "[nonsense"):  # a reload that changes nothing, one refused
            with process.path.open("a", encoding="utf-8") as file:
                file.write(text)
            process.process.send_signal(signal.SIGHUP)
            state, time = await manager.told_but_signs()
            assert state == "RELOADING=1"
            assert time.removeprefix("MONOTONIC_USEC=").isdigit()
            ready, status = await manager.told_but_signs()
            assert ready == "READY=1"
            if not text:
                assert status == "STATUS=serving"
        words = "STATUS=serving; the last reload was refused: "
        assert status.startswith(f"{words}{process.path}: line ")
        while await manager.told() != ["WATCHDOG=1"]:
            pass
        process.process.send_signal(signal.SIGTERM)
        assert await manager.told_but_signs() == [
            "STOPPING=1",
            "STATUS=draining",
            "EXTEND_TIMEOUT_USEC=30000000",
        ]
        assert await process.ended() == 0


@COMMAND
@pytest.mark.parametrize("workers", [1, 2])
async def test_while_it_drains_it_asks_for_more_time(
    tmp_path: Path, upstream: Upstream, manager: Manager, workers: int
) -> None:
    """With a watchdog and without: each sign of life says it again."""
    address = manager.path.replace("\0", "@")
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    async with started(
        tmp_path, upstream, environ, workers=workers, drain_seconds=100
    ) as process:
        banner = await process.line("Unbuffered")
        process.port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
        await process.line("Ctrl-C")
        client, server = await process.begin(upstream, OTHER)
        process.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in await manager.told():
            pass
        for _ in range(3):
            assert await manager.told() == [
                "WATCHDOG=1",
                "EXTEND_TIMEOUT_USEC=30000000",
            ]
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
        assert await process.ended() == 0


async def test_without_a_watchdog_the_drain_has_signs_of_its_own(
    manager: Manager, clock: ManualClock
) -> None:
    made = service_manager({"NOTIFY_SOCKET": manager.path.replace("\0", "@")})
    made.clock = clock
    made.alive(clock() + 1000)
    assert made.next_sign == []
    made.stopping()
    assert "EXTEND_TIMEOUT_USEC=30000000" in await manager.told()
    (due,) = made.next_sign
    assert due == clock() + 10
    made.alive(due)
    assert await manager.told() == ["EXTEND_TIMEOUT_USEC=30000000"]
    assert made.next_sign == [due + 10]


async def test_all_faults_of_a_refused_reload_are_counted_in_its_status(
    manager: Manager,
) -> None:
    made = service_manager({"NOTIFY_SOCKET": manager.path.replace("\0", "@")})
    made.reloaded(["one\nREADY=0", "two", "three"])
    assert await manager.told() == [
        "READY=1",
        "STATUS=serving; the last reload was refused: one\\nREADY=0 (and 2 more)",
    ]


async def test_a_sign_of_life_is_given_twice_in_each_interval(
    manager: Manager, clock: ManualClock
) -> None:
    address = manager.path.replace("\0", "@")
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}
    made = service_manager(environ)
    assert environ == {}
    made.clock, made.due = clock, clock() + made.interval
    assert made.next_sign == [clock() + 15]
    made.alive(clock() + 14)
    made.alive(clock() + 15)
    made.ready()
    assert await manager.told() == ["WATCHDOG=1"]
    assert await manager.told() == ["READY=1", "STATUS=serving"]
    assert made.next_sign == [clock() + 30]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"NOTIFY_SOCKET": "/nowhere/x"}, id="nobody there"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:1"}, id="another kind"),
        pytest.param({"NOTIFY_SOCKET": "/" + "a" * 200}, id="too long"),
        pytest.param({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, id="of another"),
        pytest.param({"WATCHDOG_USEC": "x"}, id="not a number"),
    ],
)
def test_without_a_manager_nothing_is_told(environ: dict[str, str]) -> None:
    made = service_manager(environ)
    made.ready()
    made.reloading()
    made.alive(1e9)
    assert made.next_sign == []
    made.stopping()
    made.alive(2e9)


# -- the sockets


def listening(
    family: int = socket.AF_INET, address: object = ("127.0.0.1", 0)
) -> socket.socket:
    sock = socket.socket(family)
    sock.bind(address)  # type: ignore[arg-type]  # as the family has it
    sock.listen()
    return sock


@COMMAND
@pytest.mark.parametrize("workers", [1, 2])
async def test_it_serves_on_the_sockets_that_it_is_given(
    tmp_path: Path, upstream: Upstream, workers: int
) -> None:
    """Also a client that came before it was there, and it gives them back."""
    path = f"{tmp_path}/admin.sock"
    public, admin = listening(), listening(socket.AF_UNIX, path)
    port = public.getsockname()[1]
    environ = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "unbuffered.socket:admin"}
    early = await connect(port)
    await early.send(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
    with public, admin:
        async with started(
            tmp_path,
            upstream,
            environ,
            (public, admin),
            workers=workers,
            admin=f"unix:{path}",
        ) as process:
            assert f"127.0.0.1:{port}" in await process.line("Unbuffered")
            await process.line("Ctrl-C")
            assert (await early.read_head()).startswith(b"HTTP/1.1 404 ")
            early.writer.close()
            async with asyncio.timeout(GUARD):
                peer = Peer(*await asyncio.open_unix_connection(path))
            await peer.send(request("ready"))
            status, body = await answer(peer)
            assert (status, json.loads(body)["workers"]) == (200, workers)
            peer.writer.close()
            process.process.send_signal(signal.SIGHUP)  # which does not move it
            await process.line("configuration reloaded")
            process.port = port
            client = await process.client()
            await client.send(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.read_head()
            process.process.send_signal(signal.SIGTERM)
            assert await process.ended() == 0
        assert "admin.sock" in os.listdir(tmp_path)  # it is not ours
        late = await connect(port)  # and waits for the next process
        late.writer.close()


def config(**server: object) -> Config:
    keys = {f"server.{key}": value for key, value in server.items()}
    return from_routes({"/": "http://h:1"}, keys)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": OWN},
        {"LISTEN_FDS": "0", "LISTEN_PID": OWN},
    ],
)
def test_nothing_is_taken_that_is_for_another(environ: dict[str, str]) -> None:
    assert given_sockets(environ, config()) == NONE_GIVEN
    assert environ == {}


def refused(sock: socket.socket, name: str, **server: object) -> str:
    """Why a socket is of no use; it is closed then."""
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": OWN, "LISTEN_FDNAMES": name}
    fd = os.dup(sock.fileno())
    with sock, pytest.raises(ConfigError) as found:
        given_sockets(environ, config(**server), fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    (fault,) = found.value.faults
    assert fault.startswith(f"socket 1 of the service manager (LISTEN_FDNAMES: {name})")
    return fault


def test_a_socket_of_no_use_is_refused_with_what_to_write(tmp_path: Path) -> None:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert "ListenStream=" in refused(datagrams, "a")
    assert "Accept=no" in refused(socket.socket(), "a")
    path = f"{tmp_path}/x"
    assert "not a TCP socket" in refused(listening(socket.AF_UNIX, path), "a")
    assert "set [server] admin" in refused(listening(), "admin")


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": OWN}
    with (tmp_path / "x").open("w") as file, pytest.raises(ConfigError, match="socket"):
        given_sockets(environ, config(), file.fileno())
