"""A reload: the new configuration holds for what comes, the old for what runs."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from proxy.config.load import from_routes, load
from proxy.config.model import Config
from proxy.process.reload import Reloader, Watched, cannot_listen
from proxy.timeline import Ending
from tests.conftest import Complaints, ManualClock, StartProxy
from tests.support.looking import looking
from tests.support.messages import OK, STREAM
from tests.support.raw import Upstream, became, chunk, connect
from tests.support.running import RunningProxy, Table, document

CONFIG = from_routes({"/a": "http://h:1"})
GET = b"GET /a/x HTTP/1.1\r\nHost: a\r\n\r\n"


class File:
    """The configuration file of a running proxy."""

    def __init__(self, path: Path, running: RunningProxy) -> None:
        self.path = path
        self.server: dict[str, object] = {"port": 0}
        self.reloader = Reloader(running.server, self.read, lambda config: [])

    def read(self) -> Config:
        return load(self.path, {})

    async def reload(self, routes: Mapping[str, Table], **tables: Table) -> bool:
        """Write the file and have it read."""
        server = {**self.server, **tables.pop("server", {})}
        self.path.write_text(document(routes, {"server": server, **tables}), "utf-8")
        return await self.reloader.reload()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "unbuffered")
    return caplog


async def test_a_running_stream_keeps_its_route(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    running = await proxy({"/a": {"target": upstream.url}}, clock=clock)
    file = File(tmp_path / "config.toml", running)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    await client.read_head()
    async with Upstream() as other:
        assert await file.reload({"/a": {"target": other.url}})
        for number in range(3):
            await server.send(chunk(b"event %d" % number))
            assert await client.read_chunk() == b"event %d" % number
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
        assert (await running.ended()).ending is Ending.COMPLETE
        # What it leaves behind is of no use any more; the next one goes elsewhere.
        await server.closed()
        await client.send(GET)
        await (await other.request()).send(OK)
        await client.read_head()


async def test_idle_connections_to_what_is_no_longer_asked_are_closed(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    running = await proxy({"/a": {"target": upstream.url}}, clock=clock)
    file = File(tmp_path / "config.toml", running)
    client, server = await running.begin(upstream, GET)
    await server.send(OK)
    await client.read_head()
    await became(lambda: running.idle_connections == 1)
    assert await file.reload({"/b": {"target": "http://127.0.0.1:1"}})
    await server.closed()
    assert running.idle_connections == 0


async def test_routes_come_and_go(
    proxy: StartProxy,
    upstream: Upstream,
    tmp_path: Path,
    log: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    file = File(tmp_path / "config.toml", running)
    client = await running.client()
    assert await file.reload(
        {
            "/b": {
                "target": upstream.url,
                "headers": {"request": {"set": {"K": "s3"}}},
            },
            "/c": {"target": upstream.url},
        }
    )
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    assert await file.reload(
        {"/a": {"target": upstream.url, "ws": True}, "/c": {"target": "http://h:1"}},
        log={"access": False},
    )
    lines = [each.getMessage() for each in log.records]
    assert lines == [
        "configuration reloaded: route /a removed; route /b added; route /c added",
        "configuration reloaded: [log] changed (access); route /a added; "
        "route /b removed; route /c changed (target)",
    ]
    assert await file.reload(
        {"/a": {"target": upstream.url, "ws": True}, "/c": {"target": "http://h:1"}},
        log={"access": False},
    )
    assert log.records[-1].getMessage() == "configuration reloaded: nothing changed"


async def test_a_file_with_another_content_is_named(
    proxy: StartProxy, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """Nothing in config.toml differs when a certificate is renewed."""

    def renew() -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        pair = authority.issue_cert("localhost").private_key_and_cert_chain_pem
        pair.write_to_path(str(tmp_path / "pair.pem"))

    renew()
    running = await proxy({"/a": {"target": "http://h:1"}})
    file = File(tmp_path / "config.toml", running)
    file.server["tls_certificate"] = "pair.pem"
    routes: dict[str, Table] = {"/a": {"target": "https://h:1", "ca_file": "ca.pem"}}
    for _ in range(2):
        assert await file.reload(routes)
    renew()
    assert await file.reload(routes)
    assert await file.reload(routes)
    assert [line.getMessage() for line in log.records] == [
        "configuration reloaded: [server] changed (tls_certificate); "
        "route /a changed (ca_file, target)",
        "configuration reloaded: nothing changed",
        "configuration reloaded: [server] changed (content of tls_certificate); "
        "route /a changed (content of ca_file)",
        "configuration reloaded: nothing changed",
    ]


async def test_a_faulty_configuration_is_refused_with_all_its_faults(
    proxy: StartProxy,
    upstream: Upstream,
    tmp_path: Path,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    monkeypatch.chdir(tmp_path)
    file = File(Path("config.toml"), running)
    # The fixture `proxy` takes a logged error for a fault of the proxy.
    monkeypatch.setattr(logging.getLogger("unbuffered"), "propagate", False)
    logging.getLogger("unbuffered").addHandler(log.handler)
    try:
        assert not await file.reload({"/b": {"target": "no"}, "c": {}})
    finally:
        logging.getLogger("unbuffered").removeHandler(log.handler)
    lines = [each.getMessage() for each in log.records]
    assert [line.split(": ")[2] for line in lines[:-1]] == [
        '[routes."/b"] target',
        '[routes."c"] prefix',
        '[routes."c"] target',
    ]
    assert lines[-1] == "configuration rejected; the previous one remains active"
    client, server = await running.begin(upstream, GET)
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_no_connection_is_refused_meanwhile(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    file = File(tmp_path / "config.toml", running)
    client, server = await running.begin(upstream, GET)
    for number in range(40):
        waiting = await running.client()
        route = {"target": upstream.url, "ws": bool(number % 2)}
        assert await file.reload({"/a": route, f"/{number}": route})
        await server.send(OK.replace(b"ok", b"%02d" % number))
        await client.read_head()
        assert await client.read(2) == b"%02d" % number
        client.close()
        client = waiting
        await client.send(GET)
        # The target has not changed: its connection goes on to be used.
        await server.read_head()
    assert upstream.unexpected == 0


async def test_open_streams_count_after_a_reload_too(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    """The target with the fewest is asked, whenever they began."""
    async with Upstream() as other:
        both = [upstream.url, other.url]
        running = await proxy({"/a": {"target": upstream.url}})
        file = File(tmp_path / "config.toml", running)
        _, server = await running.begin(upstream, GET)
        await server.send(STREAM)
        assert await file.reload({"/a": {"target": both}})
        for _ in range(2):
            _, server = await running.begin(other, GET)
            await server.send(OK)
            await running.ended()
            server.close()
            await became(lambda: running.idle_connections == 0)


async def test_the_listener_moves(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    """The new one is open before the old one closes; connections stay."""
    running = await proxy({"/a": {"target": upstream.url}})
    file = File(tmp_path / "config.toml", running)
    client, server = await running.begin(upstream, GET)
    before = running.port
    async with Upstream() as free:
        port = free.port
    assert await file.reload({"/a": {"target": upstream.url}}, server={"port": port})
    assert running.port == port
    with pytest.raises(ConnectionRefusedError):
        await connect(before)
    again, other = await running.begin(upstream, GET)
    for client, server in ((client, server), (again, other)):  # noqa: B020 - both
        await server.send(OK)
        await client.read_head()
        assert await client.read(2) == b"ok"


async def test_a_port_that_is_taken_is_refused(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path, complaints: Complaints
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    file = File(tmp_path / "config.toml", running)
    before = running.port
    taken = {"port": upstream.port}
    assert not await file.reload({"/b": {"target": "http://h:1"}}, server=taken)
    assert running.port == before
    assert complaints.heard == [
        f"cannot listen on 127.0.0.1:{upstream.port}: another program is using this "
        "port; stop it, or choose another port with --port",
        "configuration rejected; the previous one remains active",
    ]
    complaints.heard.clear()
    client, server = await running.begin(upstream, GET)  # by the route of before
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("host", "fault", "told"),
    [
        pytest.param(
            "0.0.0.0",
            OSError(errno.EADDRINUSE, "error while attempting to bind"),
            "another program is using this port; stop it, or choose another port "
            "with --port",
            id="not our own socket, which is no longer in the way",
        ),
        pytest.param(
            "203.0.113.7",
            OSError(errno.EADDRNOTAVAIL, "error while attempting to bind"),
            "not an address of this machine",
            id="an address of another machine",
        ),
        pytest.param(
            "nowhere.invalid",
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "name or service not known",
            id="a name of nothing",
        ),
    ],
)
def test_why_another_host_is_not_listened_on_is_told(
    host: str, fault: OSError, told: str
) -> None:
    before, after = (
        from_routes({"/": "http://h:1"}, {"server.host": each, "server.port": 8080})
        for each in ("127.0.0.1", host)
    )
    line = cannot_listen(after, before, fault)
    assert line == f"cannot listen on {host}:8080: {told}"


def test_where_a_port_cannot_be_shared_the_proxy_itself_may_have_it() -> None:
    before, after = (
        from_routes({"/": "http://h:1"}, {"server.host": each, "server.port": 8080})
        for each in ("127.0.0.1", "0.0.0.0")
    )
    fault = OSError(errno.EADDRINUSE, "error while attempting to bind")
    assert cannot_listen(after, before, fault, can_share=False) == (
        "cannot listen on 0.0.0.0:8080: the port is in use by this proxy "
        "(127.0.0.1:8080) or another program; on this system, changing the host on "
        "the same port needs a restart"
    )


async def test_limits_of_the_listener_change_for_new_connections(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    file = File(tmp_path / "config.toml", running)
    small = {"max_head_bytes": 1024}
    assert await file.reload({"/a": {"target": upstream.url}}, server=small)
    client = await running.client()
    await client.send(GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * 2000))
    assert (await client.read_head()).startswith(b"HTTP/1.1 431 ")


# -- watching


def write(path: Path, text: str, age: int) -> None:
    """A content and its time; clocks of file systems are coarse."""
    path.write_text(text)
    os.utime(path, ns=(age, age))


@pytest.mark.parametrize("path", ["feed", "exchanges/0-1/feed"])
@pytest.mark.parametrize(
    ("inspector", "ends"),
    [({"enabled": False}, True), ({"bodies": False}, None), ({}, False)],
    ids=["off", "without bodies", "as it was"],
)
async def test_what_may_be_looked_at_no_longer_is_not_shown_on(
    path: str,
    inspector: Table,
    ends: bool | None,
    proxy: StartProxy,
    upstream: Upstream,
    tmp_path: Path,
) -> None:
    routes = {"/a": {"target": upstream.url}}
    running = await proxy(routes)
    file = File(tmp_path / "config.toml", running)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    await client.read_head()
    live = running.server.inspector.history
    async with looking(running) as first, looking(running, path) as feed:
        await first.next("warnings")
        assert await file.reload(routes, inspector=inspector)
        await server.send(chunk(b"data: 1"))
        await client.read_chunk()
        if ends is None:  # the feed of the list shows none
            ends = path != "feed"
        if ends:
            while await feed.peer.read_chunk():
                pass
        else:
            await first.next("exchanges")
        assert live.capturing == (inspector != {"enabled": False})
        looked_at = inspector == {} and path != "feed"  # else it was let go of
        assert bool(live.budget.recordings) == looked_at


def test_a_change_is_seen_once_the_file_is_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write(path, "one", 1)
    watched = Watched(path, CONFIG)
    assert not watched.changed(CONFIG)
    write(path, "t", 2)
    assert not watched.changed(CONFIG)
    write(path, "two", 3)
    assert not watched.changed(CONFIG)
    assert watched.changed(CONFIG)
    assert not watched.changed(CONFIG)


def test_a_file_that_is_away_is_no_change_and_its_return_is_one(tmp_path: Path) -> None:
    """Some editors delete a file before they write it."""
    path = tmp_path / "config.toml"
    write(path, "one", 1)
    watched = Watched(path, CONFIG)
    path.unlink()
    assert not watched.changed(CONFIG)
    assert not watched.changed(CONFIG)
    write(path, "one", 2)
    assert not watched.changed(CONFIG)
    assert watched.changed(CONFIG)


@pytest.mark.parametrize(
    ("place", "key"),
    [("server", "tls_certificate"), ("server", "tls_key"), ("route", "ca_file")],
)
def test_the_files_that_it_names_are_watched_too(
    tmp_path: Path, place: str, key: str
) -> None:
    path, named = tmp_path / "config.toml", tmp_path / "named.pem"
    write(path, "one", 1)
    write(named, "one", 1)
    server, route = CONFIG.server, CONFIG.routes["/a"]
    if place == "server":
        server = replace(server, **{key: str(named)})
    else:
        route = replace(route, **{key: str(named)})
    config = replace(CONFIG, server=server, routes={"/a": route})
    watched = Watched(path, config)
    write(named, "two", 2)
    assert not watched.changed(config)
    assert watched.changed(config)
