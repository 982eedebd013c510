"""`[server] admin`: a listener of its own for who operates the proxy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.config.load import from_routes
from proxy.errors import ConfigError
from proxy.tools.drain.drain_request import lines
from proxy.tools.running_proxy import address_of, find_proxy
from proxy.tools.top.feed import events
from tests.conftest import StartProxy
from tests.support.looking import Feed, answer, asked, request
from tests.support.messages import EVENT_STREAM
from tests.support.process import GUARD, Process, ending, serve
from tests.support.raw import Peer, Upstream, became, chunk, connect
from tests.support.running import RunningProxy, serving

TOKEN = "0123456789abcdef"
OF_MACHINES = ("health", "ready", "metrics")
PATHS = (*OF_MACHINES, "", "feed", "drain", "page/main.js", "exchanges/0-1")
STRANGER = "proxy.example.com"  # as a Host; no name of this machine
GET = b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="several workers")
COMMAND = pytest.mark.asyncio(loop_factories=["asyncio"])


class Door(NamedTuple):
    """The admin listener, as something that can be asked."""

    running: RunningProxy

    async def client(self) -> Peer:
        """A raw client, connected."""
        address = self.running.server.admin_door.address
        assert address is not None
        if address.path:
            peer = Peer(*await asyncio.open_unix_connection(address.path))
        else:
            peer = await connect(address.port, address.host)
        self.running.clients.append(peer)
        return peer


@pytest.fixture(params=["port", "unix"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What to configure."""
    if request.param == "port":
        return "127.0.0.1:0"
    return f"unix:{tmp_path}/admin.sock"


@pytest.fixture
async def running(proxy: StartProxy, upstream: Upstream, place: str) -> RunningProxy:
    return await proxy({"/x": {"target": upstream.url}}, server={"admin": place})


@pytest.fixture
async def door(running: RunningProxy) -> Door:
    return Door(running)


async def status(door: Door | RunningProxy, path: str, fields: str = "") -> int:
    """The status of an answer that may have no end."""
    peer = await door.client()
    await peer.send(request(path, fields))
    head = await peer.read_head()
    peer.writer.transport.abort()
    return int(head.split(b" ")[1])


# -- what is where


@pytest.mark.any_loop
@pytest.mark.parametrize("path", OF_MACHINES)
async def test_whoever_reaches_it_is_answered(door: Door, path: str) -> None:
    found, body = await asked(door, path, host=STRANGER)
    assert found == 200
    assert body


@pytest.mark.any_loop
@pytest.mark.parametrize("path", PATHS)
async def test_nothing_of_it_is_on_the_public_port(
    running: RunningProxy, path: str
) -> None:
    found, body = await asked(running, path)
    assert found == 404
    assert json.loads(body)["error"]["type"] == "destination_not_found"


@pytest.mark.both_protocols
async def test_the_public_paths_are_free_for_routes(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"admin": "127.0.0.1:0"}
    )
    client = await running.client()
    await client.send(request("health"))
    server = await upstream.request()
    assert server.head.startswith(b"GET /_unbuffered/health ")
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    assert await answer(client) == (200, b"mine")


async def test_a_kept_stream_stays_public(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/x": {"target": upstream.url, "resume": True}},
        server={"admin": "127.0.0.1:0"},
    )
    client, server = await running.begin(upstream, GET)
    await server.send(EVENT_STREAM + chunk(b"data: 1\n\n"))
    head = await client.read_head()
    (id,) = [
        line.split(b": ")[1].decode()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"stream-id: ")
    ]
    assert await status(running, f"streams/{id}") == 200
    assert await status(Door(running), f"streams/{id}") == 404


async def test_the_inspector_is_at_the_admin_listener(
    door: Door, running: RunningProxy, upstream: Upstream
) -> None:
    assert (await asked(door, ""))[1].startswith(b"<!doctype html>")
    peer = await door.client()
    await peer.send(request("feed"))
    await peer.read_head()
    feed = Feed(peer)
    await feed.next("exchanges")
    _, server = await running.begin(upstream, GET)
    await server.send(EVENT_STREAM + chunk(b"data: 1\n\n"))
    while not (told := await feed.next("exchanges"))["open"]:
        pass
    assert told["open"][0]["target"] == "/x"
    peer.writer.transport.abort()


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        pytest.param("", STRANGER, id="by a public name"),
        pytest.param("X-Forwarded-For: 1.2.3.4\r\n", "localhost", id="by a proxy"),
    ],
)
async def test_the_inspector_has_its_own_rules_there(
    door: Door, fields: str, host: str
) -> None:
    for path in ("", "feed"):
        found, body = await asked(door, path, fields, host)
        assert found == 404
        assert b"[inspector]" in body


async def test_a_proxy_on_this_machine_makes_nobody_local(door: Door) -> None:
    peer = await door.client()
    await peer.send(b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await answer(peer))[0] == 403
    await peer.send(b"POST /_unbuffered/drain HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await answer(peer))[0] == 403


async def test_a_token_of_the_inspector_is_asked_for_there(
    proxy: StartProxy, upstream: Upstream, place: str
) -> None:
    door = Door(
        await proxy(
            {"/x": {"target": upstream.url}},
            server={"admin": place},
            inspector={"token": TOKEN},
        )
    )
    assert await status(door, "feed") == 401
    assert await status(door, "feed", f"Authorization: Bearer {TOKEN}\r\n") == 200
    assert await status(door, "metrics") == 200  # it has none of its own


async def test_a_token_of_the_metrics_is_asked_for_there(
    proxy: StartProxy, upstream: Upstream, place: str
) -> None:
    door = Door(
        await proxy(
            {"/x": {"target": upstream.url}},
            server={"admin": place},
            metrics={"token": TOKEN},
        )
    )
    assert await status(door, "metrics") == 401
    assert await status(door, "metrics", f"Authorization: Bearer {TOKEN}\r\n") == 200
    assert await status(door, "health") == 200


@pytest.mark.parametrize(
    ("head", "found", "part"),
    [
        pytest.param(b"GET / HTTP/1.1", 404, b"admin listener", id="the root"),
        pytest.param(b"GET /x HTTP/1.1", 404, b"admin listener", id="a route"),
        pytest.param(b"POST /x HTTP/1.1", 404, b"admin listener", id="another method"),
        pytest.param(b"POST /_unbuffered/health HTTP/1.1", 405, b"GET", id="POST"),
        pytest.param(b"GET /_unbuffered/no HTTP/1.1", 404, b"not found", id="none"),
        pytest.param(b"GET /x HTTP/3.7", 505, b"", id="not a version"),
        pytest.param(b"G=", 400, b"", id="not a request"),
    ],
)
async def test_anything_else_is_refused_with_a_reason(
    door: Door, head: bytes, found: int, part: bytes
) -> None:
    peer = await door.client()
    await peer.send(head + b"\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    told, body = await answer(peer)
    assert (told, part in body) == (found, True)


async def test_its_clients_count_for_no_limit(
    proxy: StartProxy, upstream: Upstream, place: str
) -> None:
    running = await proxy(
        {"/x": {"target": upstream.url}},
        server={"admin": place, "max_connections": 1},
    )
    door = Door(running)
    for _ in range(3):
        assert await status(door, "health") == 200
    peers = [await door.client() for _ in range(3)]
    await became(lambda: len(running.server.admin_door.clients) >= 3)
    client = await running.client()
    await client.send(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    for peer in peers:
        peer.writer.transport.abort()


async def test_top_and_drain_find_it_by_the_configuration(
    tmp_path: Path, upstream: Upstream, place: str
) -> None:
    table = {"server": {"admin": place}}
    async with serving(tmp_path, {"/x": {"target": upstream.url}}, table) as running:
        address = running.server.admin_door.address
        assert address is not None
        found = find_proxy(str(address), None, None, {})
        if address.path:
            by_file = find_proxy(None, tmp_path / "config.toml", None, {})
            assert by_file == found
        asked_for = asyncio.Event()
        running.server.drain_progress.on_asked = asked_for.set

        def look() -> str:
            with closing(events(found)) as feed:
                return next(feed)[0]

        assert await asyncio.to_thread(look) == "state"
        drained = asyncio.to_thread(lambda: [*lines(found, wait=False, timeout=GUARD)])
        told = asyncio.ensure_future(drained)
        await asked_for.wait()
        running.server.announce(60)
        assert [each["state"] for each in await told] == ["delay"]


def test_a_port_of_its_own_is_where_top_looks() -> None:
    config = from_routes({"/": "http://h:1"}, {"server.admin": "0.0.0.0:9090"})
    assert address_of(config) == "http://127.0.0.1:9090"
    config = from_routes({"/": "http://h:1"}, {"server.admin": "localhost:0"})
    with pytest.raises(ConfigError, match="admin: is 0"):
        address_of(config)


# -- the end


@pytest.mark.any_loop
async def test_it_is_open_to_the_end_of_a_drain(
    door: Door, running: RunningProxy, upstream: Upstream
) -> None:
    client, server = await running.begin(upstream, GET)
    await server.send(EVENT_STREAM.replace(b"event-stream", b"plain") + chunk(b"1"))
    await client.read_head()
    watching = await door.client()
    await watching.send(request("feed"))
    await watching.read_head()
    drained = running.drain(60)
    with pytest.raises(ConnectionError):  # reset, if it came just before
        await running.client()
    told, body = await asked(door, "ready")
    assert (told, json.loads(body)["reasons"]) == (503, ["draining"])
    assert await status(door, "metrics") == 200
    await server.send(chunk(b"2") + b"0\r\n\r\n")
    await client.read_until(b"0\r\n\r\n")
    client.writer.close()
    assert await drained == 0
    await watching.read_until(b"0\r\n\r\n")  # its feed has an end
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await door.client()


async def test_no_file_is_left(tmp_path: Path, upstream: Upstream) -> None:
    path = tmp_path / "admin.sock"
    table = {"server": {"admin": f"unix:{path}"}}
    async with serving(tmp_path, {"/": {"target": upstream.url}}, table):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


# -- where it cannot listen


def stale(path: Path) -> None:
    """A socket whose process is gone."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


async def test_a_socket_that_a_process_has_left_is_in_nobodys_way(
    tmp_path: Path, upstream: Upstream
) -> None:
    path = tmp_path / "admin.sock"
    stale(path)
    table = {"server": {"admin": f"unix:{path}"}}
    async with serving(tmp_path, {"/": {"target": upstream.url}}, table) as running:
        assert await status(Door(running), "health") == 200


async def refused(folder: Path, place: str) -> str:
    """Why it cannot listen; nothing of it is left then."""
    before = {*os.listdir(folder)}
    with pytest.raises(ConfigError) as found:
        async with serving(
            folder,
            {"/": {"target": "http://127.0.0.1:9"}},
            {"server": {"admin": place}},
        ):
            pass
    assert {*os.listdir(folder)} - before <= {"config.toml"}
    (fault,) = found.value.faults
    assert fault.startswith(f"[server] admin: cannot listen on {place}: ")
    return fault


async def test_a_busy_port_is_told(tmp_path: Path, upstream: Upstream) -> None:
    fault = await refused(tmp_path, f"127.0.0.1:{upstream.port}")
    assert "using this port; " in fault  # it is this process
    assert fault.endswith("choose another port with [server] admin")


async def test_a_busy_socket_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        fault = await refused(tmp_path, f"unix:{path}")
        assert "another program is using this socket" in fault
        assert path.exists()


async def test_a_file_that_is_no_socket_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("mine", "utf-8")
    assert "not a socket" in await refused(tmp_path, f"unix:{path}")
    assert path.read_text("utf-8") == "mine"


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    fault = await refused(tmp_path, f"unix:{tmp_path}/no/admin.sock")
    assert "directory does not exist" in fault


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no users so")
async def test_a_folder_of_somebody_else_is_told(
    tmp_path: Path, upstream: Upstream
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        folder = Path("/sys")  # where not even root may make one
    fault = await refused(tmp_path, f"unix:{folder}/admin.sock")
    assert "permission denied: this user may not create a" in fault


# -- the command


@COMMAND
@LINUX
@pytest.mark.parametrize("workers", [1, 2])
async def test_it_answers_for_all_workers_and_the_banner_names_it(
    tmp_path: Path, upstream: Upstream, workers: int
) -> None:
    path = tmp_path / "config.toml"
    sock = tmp_path / "admin.sock"
    process = Process(path, None)  # type: ignore[arg-type]  # only to write the file
    server = {"admin": f"unix:{sock}", "workers": workers}
    process.write({"/a": {"target": upstream.url}}, {}, **server)
    process = await serve(path)
    async with ending(process.process):
        await process.line(f"Admin: unix:{sock}")
        await process.line("Ctrl-C")
        async with asyncio.timeout(GUARD):
            peer = Peer(*await asyncio.open_unix_connection(str(sock)))
            await peer.send(request("ready"))
            told, body = await answer(peer)
        assert (told, json.loads(body)["workers"]) == (200, workers)
        peer.writer.close()
        process.write({"/a": {"target": upstream.url}}, {}, admin="", workers=workers)
        process.process.send_signal(signal.SIGHUP)
        await process.line("[server] admin: another value requires a restart")
        process.process.send_signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert not sock.exists()


@COMMAND
@LINUX
@pytest.mark.parametrize("workers", [1, 2])
async def test_where_it_cannot_listen_the_command_says_so(
    tmp_path: Path, upstream: Upstream, workers: int
) -> None:
    path = tmp_path / "config.toml"
    process = Process(path, None)  # type: ignore[arg-type]  # only to write the file
    place = f"127.0.0.1:{upstream.port}"
    route = {"target": "http://127.0.0.1:9"}
    process.write({"/a": route}, {}, admin=place, workers=workers)
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "serve", "--config", str(path)),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    async with ending(started), asyncio.timeout(GUARD):
        _, told = await started.communicate()
    assert started.returncode == 1
    (line,) = told.decode().splitlines()
    fault = f"unbuffered: [server] admin: cannot listen on {place}: another program is "
    assert line.startswith(fault + "using this port")
