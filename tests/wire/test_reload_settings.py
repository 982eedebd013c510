"""A reload changes each setting of a plain table, with workers and without."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import trustme

from proxy.config.load import PLAIN_TABLES
from tests.support.http2 import (
    ENHANCE_YOUR_CALM,
    GOAWAY,
    PING,
    REFUSED_STREAM,
    RST_STREAM,
    FramePeer,
    frame,
)
from tests.support.looking import answer, asked
from tests.support.ports import free_port
from tests.support.process import EVENTS, GET, GUARD, ROOT, Process
from tests.support.raw import Peer, Upstream, chunk, connect
from tests.support.running import Table

# What is tested has an event loop of its own, in processes of its own.
COMMAND = pytest.mark.asyncio(loop_factories=["asyncio"])
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="several workers, 127.0.0.2")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNKNOWN = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n"
CROWD = b"GET /crowd HTTP/1.1\r\nHost: a\r\n\r\n"
HITS = 3  # a seed by which every other request fails, the first one too; not by 0
MANY = 3  # clients: more than there are workers, so that two of them meet


@dataclass
class World:
    """A proxy, and what is around it."""

    proxy: Process
    upstream: Upstream
    crowded: Upstream  # of the requests that nobody waits for
    collector: Upstream
    authority: trustme.CA
    port: int  # by the configuration
    other_port: int
    folder: Path
    base: dict[str, dict[str, object]] = field(default_factory=dict)

    async def reload(self, tables: dict[str, dict[str, object]], part: str) -> str:
        """Have it reloaded with other tables; the line that says so."""
        merged = {
            name: {**self.base.get(name, {}), **tables.get(name, {})}
            for name in {*self.base, *tables}
        }
        self.proxy.write(routes(self.upstream, self.crowded), merged)
        self.proxy.process.send_signal(signal.SIGHUP)
        return await self.proxy.line(part)

    async def status(self, head: bytes) -> int:
        """What the proxy answers."""
        client = await self.proxy.client()
        await client.send(head)
        return int((await client.read_head())[9:12])

    async def logged(self) -> str:
        """The next line of the access log, of a request that is made for it."""
        assert await self.status(UNKNOWN) == 404
        assert self.proxy.process.stdout is not None
        async with asyncio.timeout(GUARD):
            return (await self.proxy.process.stdout.readline()).decode()

    async def refused_one(self, head: bytes) -> None:
        """One of many requests at the same time is one too many.

        The others may still be on their way when this returns: those that have an
        upstream have one of their own, so that nobody takes them for another request.
        """
        clients = [await self.proxy.client() for _ in range(MANY)]
        for client in clients:
            await client.send(head)
        reads = [asyncio.ensure_future(client.read_head()) for client in clients]
        for done in asyncio.as_completed(reads):
            if (await done).startswith(b"HTTP/1.1 503 "):
                break
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)

    async def speaks_tls(self) -> None:
        """The proxy has the certificate of the test."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context
        )
        client = Peer(reader, writer)
        self.proxy.clients.append(client)
        await client.send(UNKNOWN)
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


def routes(upstream: Upstream, crowded: Upstream) -> dict[str, Table]:
    keys = {"stall_warning_seconds": 0.1, "upstream_keepalive_seconds": 0}
    return {"/a": {"target": upstream.url, **keys}, "/crowd": {"target": crowded.url}}


Check = Callable[[World], Awaitable[None]]


class Case(NamedTuple):
    """A key, the tables of the reload and what holds then; what was begun before."""

    key: str
    tables: Callable[[World], dict[str, dict[str, object]]]
    holds: Check
    before: Check | None = None


def server(**keys: object) -> Callable[[World], dict[str, dict[str, object]]]:
    return lambda world: {"server": keys}


def store(**keys: object) -> Callable[[World], dict[str, dict[str, object]]]:
    return lambda world: {"store": keys}


def gives(head: bytes, status: int) -> Check:
    async def holds(world: World) -> None:
        assert await world.status(head) == status

    return holds


def tells_prefixes(told: bool) -> Check:
    async def holds(world: World) -> None:
        client = await world.proxy.client()
        await client.send(UNKNOWN)
        status, body = await answer(client)
        assert (status, b"/crowd" in body) == (404, told)

    return holds


async def listens_everywhere(world: World) -> None:
    client = await connect(world.port, "127.0.0.2")
    world.proxy.clients.append(client)
    await client.send(UNKNOWN)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def listens_elsewhere(world: World) -> None:
    client = await connect(world.other_port)
    world.proxy.clients.append(client)
    await client.send(UNKNOWN)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def trusts_this_machine(world: World) -> None:
    client = await world.proxy.client()
    await client.send(b"GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
    peer = await world.upstream.request()
    assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.1" in peer.head_lines
    await peer.send(OK)
    await client.read_head()


async def names_nothing(world: World) -> None:
    client = await world.proxy.client()
    await client.send(b"GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n")
    peer = await world.upstream.request()
    assert b"X-Request-Id: mine" in peer.head_lines
    await peer.send(OK)
    await client.read_head()


def with_a_fault(
    probability: float, **keys: object
) -> Callable[[World], dict[str, dict[str, object]]]:
    """A route whose requests fail; of a part of them, by the seed."""
    fault = {"kind": "status", "status": 503, "probability": probability}

    def tables(world: World) -> dict[str, dict[str, object]]:
        route: dict[str, object] = {"target": world.upstream.url, "fault": fault}
        return {"server": {"allow_faults": True, **keys}, 'routes."/f"': route}

    return tables


async def fails(world: World) -> None:
    client = await world.proxy.client()
    await client.send(b"GET /f HTTP/1.1\r\nHost: a\r\n\r\n")
    peer = await world.upstream.request()
    await peer.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 503 ")


async def waits_not_for_a_body(world: World) -> None:
    client = await world.proxy.client()
    await client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    await world.upstream.request()
    assert (await client.read_head()).startswith(b"HTTP/1.1 408 ")


async def closes_what_is_idle(world: World) -> None:
    client = await world.proxy.client()
    await client.send(UNKNOWN)
    await client.read_rest()


async def cuts_who_reads_nothing(world: World) -> None:
    client = await connect(world.port, receive_bytes=4096)
    world.proxy.clients.append(client)
    await client.send(GET)
    peer = await world.upstream.request()
    peer.writer.write(EVENTS + chunk(bytes(16_000_000)))
    await peer.read_rest()


async def writes_json(world: World) -> None:
    assert json.loads(await world.logged())["status"] == 404


async def writes_text(world: World) -> None:
    assert " 404 " in await world.logged()


async def stalls(world: World) -> None:
    """A stream that is there already when the warnings are switched on."""
    _, peer = await world.proxy.begin(world.upstream, EVENTS)
    await peer.send(chunk(b"data: x\n\n"))


async def warns_of_a_stall(world: World) -> None:
    await world.proxy.line("stall_warning_seconds")


def is_answered(path: str, status: int) -> Check:
    async def holds(world: World) -> None:
        found, _ = await asked(world.proxy, path)
        assert found == status

    return holds


def tells(state: bytes) -> Check:
    """The feed of the list says so of the proxy."""

    async def act(world: World) -> None:
        client = await world.proxy.client()
        await client.send(
            b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: keep-alive\r\n\r\n"
        )
        await client.read_until(state)

    return act


async def sends_spans(world: World) -> None:
    assert await world.status(UNKNOWN) == 404
    peer = await world.collector.request()
    assert b"POST /v1/traces HTTP/1.1" in peer.head_lines
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def framed(world: World) -> FramePeer:
    """A client that speaks HTTP/2 in the clear."""
    http = FramePeer(await world.proxy.client(), "http")
    await http.begin(None)
    return http


async def speaks_http2(world: World) -> None:
    await framed(world)


async def offers_no_http2(world: World) -> None:
    context = ssl.create_default_context()
    world.authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, ssl=context)
    world.proxy.clients.append(Peer(reader, writer))
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    assert chosen == "http/1.1"


async def refuses_a_second_stream(world: World) -> None:
    http = await framed(world)
    await http.peer.send(http.request(1, "/a") + http.request(3, "/a"))
    assert (await http.next(RST_STREAM, 3)).code == REFUSED_STREAM


async def ends_a_reset_flood(world: World) -> None:
    http = await framed(world)
    cancel = (8).to_bytes(4, "big")
    for number in range(1, 41, 2):
        await http.peer.send(http.request(number, "/crowd"))  # nobody answers it
        http.peer.writer.write(frame(RST_STREAM, 0, number, cancel))
    assert (await http.next(GOAWAY)).code == ENHANCE_YOUR_CALM


async def ends_a_ping_flood(world: World) -> None:
    http = await framed(world)
    await http.peer.send(frame(PING, 0, 0, bytes(8)) * 20)
    assert (await http.next(GOAWAY)).code == ENHANCE_YOUR_CALM


async def nothing(world: World) -> None:
    """The reload was refused."""


def with_one_file(world: World) -> dict[str, dict[str, object]]:
    return {"server": {"tls_certificate": str(world.folder / "pair.pem")}}


def without_http2(world: World) -> dict[str, dict[str, object]]:
    tables = with_one_file(world)
    tables["server"]["http2"] = False
    return tables


def in_the_clear(**keys: object) -> Callable[[World], dict[str, dict[str, object]]]:
    return server(http2_cleartext=True, **keys)


def with_two_files(world: World) -> dict[str, dict[str, object]]:
    chain, key = world.folder / "chain.pem", world.folder / "key.pem"
    return {"server": {"tls_certificate": str(chain), "tls_key": str(key)}}


BIG = b"GET /none HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % bytes(b"x" * 2000)
CASES = [
    Case("server.host", server(host="0.0.0.0"), listens_everywhere),
    Case("server.workers", server(workers=3), nothing),
    Case(
        "server.error_detail",
        server(error_detail="none"),
        tells_prefixes(False),
        tells_prefixes(True),
    ),
    Case("server.admin", server(admin="127.0.0.1:0"), nothing),
    Case(
        "server.trusted_proxies",
        server(trusted_proxies=["127.0.0.1"]),
        trusts_this_machine,
    ),
    Case("server.request_id", server(request_id=False), names_nothing),
    Case(
        "server.head_timeout_seconds",
        server(head_timeout_seconds=0.1),
        gives(b"GET / HTTP/1.1\r\n", 408),
    ),
    Case(
        "server.body_timeout_seconds",
        server(body_timeout_seconds=0.1),
        waits_not_for_a_body,
    ),
    Case(
        "server.keepalive_timeout_seconds",
        server(keepalive_timeout_seconds=0.1),
        closes_what_is_idle,
    ),
    Case(
        "server.write_timeout_seconds",
        server(write_timeout_seconds=0.1),
        cuts_who_reads_nothing,
    ),
    Case("server.max_head_bytes", server(max_head_bytes=1024), gives(BIG, 431)),
    Case("server.max_target_bytes", server(max_target_bytes=4), gives(UNKNOWN, 414)),
    Case("server.max_fields", server(max_fields=1), gives(BIG, 431)),
    Case(
        "server.max_connections",
        server(max_connections=1),
        lambda world: world.refused_one(UNKNOWN),
    ),
    Case(
        "server.max_exchanges",
        server(max_exchanges=1),
        lambda world: world.refused_one(CROWD),
    ),
    Case("server.allow_faults", with_a_fault(1), fails),
    Case("server.fault_seed", with_a_fault(0.5, fault_seed=HITS), fails),
    Case("server.http2", without_http2, offers_no_http2),
    Case("server.http2_cleartext", in_the_clear(), speaks_http2),
    Case(
        "server.http2_max_streams",
        in_the_clear(http2_max_streams=1),
        refuses_a_second_stream,
    ),
    Case(
        "server.http2_max_resets_per_second",
        in_the_clear(http2_max_resets_per_second=1),
        ends_a_reset_flood,
    ),
    Case(
        "server.http2_max_control_frames_per_second",
        in_the_clear(http2_max_control_frames_per_second=1),
        ends_a_ping_flood,
    ),
    Case("server.tls_certificate", with_one_file, World.speaks_tls),
    Case("server.tls_key", with_two_files, World.speaks_tls),
    Case(
        "log.format",
        lambda world: {"log": {"access": True, "format": "json"}},
        writes_json,
    ),
    Case("log.access", lambda world: {"log": {"access": True}}, writes_text),
    Case(
        "log.warnings",
        lambda world: {"log": {"warnings": True}},
        warns_of_a_stall,
        stalls,
    ),
    Case(
        "inspector.enabled",
        lambda world: {"inspector": {"enabled": False}},
        is_answered("", 404),
    ),
    Case(
        "inspector.bodies",
        lambda world: {"inspector": {"bodies": False}},
        tells(b'"bodies":false'),
    ),
    Case(
        "inspector.record",
        lambda world: {"inspector": {"record": "off"}},
        tells(b'"record":"off"'),
    ),
    Case(
        "inspector.record_bytes",
        lambda world: {"inspector": {"record_bytes": 65536}},
        tells(b'"record_bytes":65536'),
    ),
    Case(
        "inspector.token",
        lambda world: {"inspector": {"token": "0123456789abcdef"}},
        is_answered("feed", 401),
    ),
    Case(
        "metrics.token",
        lambda world: {"metrics": {"token": "0123456789abcdef"}},
        is_answered("metrics", 401),
    ),
    Case(
        "metrics.enabled",
        lambda world: {"metrics": {"enabled": False}},
        is_answered("metrics", 404),
    ),
    # What it limits is there once a route has `resume` or `share`.
    Case(
        "store.max_bytes",
        lambda world: {"store": {"max_bytes": 4096}},
        gives(UNKNOWN, 404),
    ),
    *(
        Case(f"store.{key}", store(**{key: value}), nothing)
        for key, value in (
            ("url", "redis://127.0.0.1:1"),
            ("key", "0123456789abcdef0123456789abcdef"),
            ("prefix", "another"),
        )
    ),
    Case("tracing.enabled", lambda world: {"tracing": {"enabled": True}}, sends_spans),
    Case(
        "server.port",
        lambda world: {"server": {"port": world.other_port}},
        listens_elsewhere,
    ),
]
AT_THE_END = ("server.drain_seconds", "server.drain_delay_seconds")
REFUSED = ("server.workers", "server.admin", "store.url", "store.key", "store.prefix")


def test_no_key_is_left_out() -> None:
    keys = {
        f"{table}.{each.encode_name}"
        for table, model in PLAIN_TABLES.items()
        for each in msgspec.structs.fields(model)
    }
    assert keys == {case.key for case in CASES} | {*AT_THE_END}


@COMMAND
@LINUX
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_has_the_same_effect_with_and_without_workers(
    workers: int, upstream: Upstream, tmp_path: Path
) -> None:
    """One process for all of them: each setting is changed, and changed back."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pair.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))
    path = tmp_path / "config.toml"
    port, other = free_port(), free_port()
    base: dict[str, dict[str, object]] = {
        "server": {"port": port, "workers": workers},
        "log": {"access": False, "warnings": False},
    }
    file = Process(path, None)  # type: ignore[arg-type]  # to write it by
    async with Upstream() as collector, Upstream() as crowded:
        file.write(routes(upstream, crowded), base)
        proxy = Process(path, await started(path, collector))
        world = World(
            proxy, upstream, crowded, collector, authority, port, other, tmp_path, base
        )
        try:
            await proxy.line("Ctrl-C stops")
            proxy.port = port
            for case in CASES:
                await changed_and_back(world, case)
            await drains(world)
        finally:
            left(world)
            if proxy.process.returncode is None:
                proxy.process.terminate()
                proxy.process.terminate()
            await proxy.ended()


async def started(path: Path, collector: Upstream) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy.cli.main", "serve", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        cwd=ROOT,
        env={
            **os.environ,
            "TMPDIR": str(path.parent),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "1",
        },
    )


async def changed_and_back(world: World, case: Case) -> None:
    tables = case.tables(world)
    table, _, key = case.key.partition(".")
    try:
        if case.before is not None:
            await case.before(world)
        if case.key in REFUSED:
            line = await world.reload(tables, "ERROR")
            assert f"[{table}] {key}: " in line
            assert "restart" in line
            await world.proxy.line("configuration rejected")
        else:
            line = await world.reload(tables, "configuration re")
            assert f"[{table}] changed (" in line
            assert key in line
        await case.holds(world)
        left(world)
        await world.reload({}, "configuration reloaded")
    except (AssertionError, TimeoutError, OSError, EOFError) as fault:
        raise AssertionError(f"{case.key}: {fault!r}\n{world.proxy.told}") from fault


async def drains(world: World) -> None:
    """`drain_delay_seconds` and `drain_seconds`, at last."""
    server: dict[str, object] = {"drain_delay_seconds": 900, "drain_seconds": 33}
    line = await world.reload({"server": server}, "configuration re")
    assert "[server] changed (drain_delay_seconds, drain_seconds)" in line
    await world.proxy.begin(world.upstream, EVENTS)
    world.proxy.process.send_signal(signal.SIGTERM)
    await world.proxy.line("the drain begins in 900 s")
    world.proxy.process.send_signal(signal.SIGTERM)
    await world.proxy.line("for up to 33 s")
    world.proxy.process.send_signal(signal.SIGTERM)
    assert await world.proxy.ended() == 128 + signal.SIGTERM


def left(world: World) -> None:
    """All clients leave, and no upstream is left over."""
    for client in world.proxy.clients:
        client.writer.transport.abort()
    world.proxy.clients.clear()
    while world.upstream.unexpected:
        world.upstream.arrived.get_nowait()
