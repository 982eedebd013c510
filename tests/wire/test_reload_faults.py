"""A reload that fails, wherever it does: refused, told by its key, and over.

Everything goes on as before it: routes, listener, observers, the next reload,
signals and the drain; with one process and with workers, by SIGHUP and --watch.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec.structs import replace

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.process.reload import Reloader
from tests.conftest import Complaints, StartProxy
from tests.support.messages import OK
from tests.support.packages import (
    with_broken_otel,
    with_otel_that_exits,
    with_otel_that_exits_at_the_check,
    without_otel,
)
from tests.support.process import GUARD, OTHER, ROOT, WATCHFUL, Process
from tests.support.raw import Upstream, became, chunk
from tests.support.running import Table, document

GET = b"GET /a/x HTTP/1.1\r\nHost: a\r\n\r\n"
REFUSED = "configuration rejected; the previous one remains active"
NO_OTEL = "[tracing] enabled: OpenTelemetry is not installed: "
BROKEN_OTEL = (
    "[tracing] enabled: OpenTelemetry cannot be set up: RuntimeError: built for "
    "another Python"
)
EXITING_OTEL = (
    "[tracing] enabled: OpenTelemetry cannot be set up: SystemExit: no licence"
)

# -- in this process: every step


def raising(fault: BaseException) -> Callable[[Config], Config]:
    def made(config: Config) -> Config:
        raise fault

    return made


def with_file_gone(config: Config) -> Config:
    """A file that is there at the check, and no more when it is used."""
    for route in config.routes.values():
        if route.ca_file:
            Path(route.ca_file).unlink()
    return config


def with_certificate_gone(config: Config) -> Config:
    Path(config.server.tls_certificate).write_text("nothing")
    return config


class Late(str):
    """A token, over which only the inspector stumbles, at the very end."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        raise RuntimeError("late")


def with_late_fault(config: Config) -> Config:
    """Stands for a fault of ours that shows after the new port is open."""
    return replace(config, inspector=replace(config.inspector, token=Late("token")))


def observers(config: Config) -> list[Any]:
    if config.log.format == "json":
        raise ConfigError(["[log] format: nowhere to write to"])
    if not config.log.access:
        raise RuntimeError("out of order")
    return []


@pytest.mark.parametrize(
    ("step", "tables", "told"),
    [
        pytest.param(
            raising(ConfigError(["[x] y: one", "[x] z: two"])),
            {},
            ["[x] y: one", "[x] z: two"],
            id="read: faults",
        ),
        pytest.param(
            raising(RecursionError("too deep")),
            {},
            ["the configuration cannot be read: RecursionError: too deep"],
            id="read: a fault of ours",
        ),
        pytest.param(
            raising(PermissionError(13, "Permission denied")),
            {},
            ["the configuration cannot be read: permission denied"],
            id="read: a file",
        ),
        pytest.param(
            None,
            {"log": {"format": "json"}},
            ["[log] format: nowhere to write to"],
            id="an observer",
        ),
        pytest.param(
            None,
            {"log": {"access": False}},
            ["RuntimeError: out of order"],
            id="an observer: a fault of ours",
        ),
        pytest.param(
            with_file_gone,
            {"routes": {"/b": {"target": "https://h:1", "ca_file": "ca.pem"}}},
            ['[routes."/b"] ca_file: no such file or directory'],
            id="a route",
        ),
        pytest.param(
            with_certificate_gone,
            {"server": {"tls_certificate": "pair.pem"}},
            ["[server] tls_certificate: "],
            id="the certificate",
        ),
        pytest.param(
            None,
            {"server": {"port": "taken"}},
            ["cannot listen on 127.0.0.1:"],
            id="the listener",
        ),
        pytest.param(
            with_late_fault,
            {"server": {"port": "other"}},
            ["[inspector], [metrics] or [log] warnings: RuntimeError: late"],
            id="the inspector, after the new port is open",
        ),
    ],
)
async def test_whatever_fails_all_is_as_it_was(
    step: Callable[[Config], Config] | None,
    tables: dict[str, dict[str, Any]],
    told: list[str],
    proxy: StartProxy,
    upstream: Upstream,
    tmp_path: Path,
    complaints: Complaints,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    pair = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pair.write_to_path(str(tmp_path / "pair.pem"))
    running = await proxy({"/a": {"target": upstream.url}})
    server, path = running.server, tmp_path / "config.toml"
    async with Upstream() as free:
        ports = {"taken": upstream.port, "other": free.port}
    steps = iter([step, None])

    def read() -> Config:
        config = load(path, {})
        change = next(steps)
        return config if change is None else change(config)

    def write(routes: dict[str, Table], tables: dict[str, dict[str, Any]]) -> None:
        table = {"port": 0, **tables.get("server", {})}
        table["port"] = ports.get(table["port"], table["port"])
        text = document(routes, {**tables, "server": table})
        path.write_text(text, "utf-8")

    async def ask() -> None:
        before = server.config
        reloader.ask()
        await became(lambda: server.config is not before or REFUSED in complaints.heard)

    reloader = Reloader(server, read, observers)
    before = (server.config, server.compiled, server.observers, server.port)
    others = {name: table for name, table in tables.items() if name != "routes"}
    write(tables.get("routes", {"/b": {"target": "http://h:1"}}), others)
    task = asyncio.get_running_loop().create_task(reloader.run())
    try:
        await ask()
        *lines, last = [
            line for line in complaints.heard if not line.startswith("internal error")
        ]
        assert last == REFUSED
        assert len(lines) == len(told)
        for line, part in zip(lines, told, strict=True):
            assert part in line
        complaints.heard.clear()
        after = (server.config, server.compiled, server.observers, server.port)
        assert all(one is other for one, other in zip(before[:3], after, strict=False))
        assert after[3] == before[3]
        client, peer = await running.begin(upstream, GET)
        await peer.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        write({"/c": {"target": "http://h:1"}}, {})
        await ask()  # reloading goes on
        assert [*server.config.routes] == ["/c"]
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


# -- the command: files that cannot be read; packages that are missing, or broken

Start = Callable[..., Awaitable[Process]]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
COMMAND = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.fixture
async def start(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Start]:
    started: list[Process] = []
    path = tmp_path / "config.toml"

    async def begin(
        environment: dict[str, str], *arguments: str, workers: int
    ) -> Process:
        file = Process(path, None)  # type: ignore[arg-type]  # to write it by
        file.write({"/a": {"target": upstream.url}}, workers=workers)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", WATCHFUL, "serve", "--config", str(path), *arguments),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
        )
        started.append(found := Process(path, process))
        banner = await found.line("Unbuffered")
        found.port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
        await found.line("Ctrl-C stops")
        return found

    yield begin
    for each in started:
        for client in each.clients:
            client.writer.transport.abort()
        if each.process.returncode is None:
            each.process.send_signal(signal.SIGTERM)
            each.process.send_signal(signal.SIGTERM)
        await each.ended()
        assert each.process.stderr is not None
        each.told += (await each.process.stderr.read()).decode()
        assert "Traceback" not in each.told


@COMMAND
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("by", "packages", "told"),
    [
        pytest.param("SIGHUP", without_otel, NO_OTEL, id="SIGHUP, missing"),
        pytest.param("SIGHUP", with_broken_otel, BROKEN_OTEL, id="SIGHUP, broken"),
        pytest.param("SIGHUP", with_otel_that_exits, EXITING_OTEL, id="SIGHUP, exits"),
        pytest.param(
            "SIGHUP",
            with_otel_that_exits_at_the_check,
            EXITING_OTEL,
            id="SIGHUP, exits at the check",
        ),
        pytest.param("--watch", with_broken_otel, BROKEN_OTEL, id="watch, broken"),
    ],
)
async def test_a_reload_that_a_package_fails_changes_nothing(
    workers: int,
    by: str,
    packages: Callable[[Path], dict[str, str]],
    told: str,
    start: Start,
    upstream: Upstream,
    tmp_path: Path,
) -> None:
    """Reloading, the drain and the exit status go on working."""
    arguments = ["--watch"] if by == "--watch" else []
    process = await start(packages(tmp_path), *arguments, workers=workers)
    client, server = await process.begin(upstream, OTHER)
    route = {"target": upstream.url}

    def reload(*prefixes: str, tracing: bool = False) -> None:
        tables = {"tracing": {"enabled": tracing}}
        process.write(dict.fromkeys(prefixes, route), tables, workers=workers)
        if by == "SIGHUP":
            process.process.send_signal(signal.SIGHUP)

    for prefix in ("/b", "/c"):
        reload(prefix, tracing=True)
        assert told in await process.line("ERROR")
        line = await process.line("ERROR")
        assert REFUSED in line
        reload("/a", prefix)
        assert f"route {prefix} added" in await process.line("configuration reloaded")
    await server.send(chunk(b"unharmed"))
    assert await client.read_chunk() == b"unharmed"
    process.process.send_signal(signal.SIGTERM)
    await process.line("draining 1 exchange")
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    assert await process.ended() == 0


@COMMAND
@pytest.mark.parametrize("by", ["SIGHUP", "--watch"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_typo_at_a_reload_is_one_line(
    workers: int, by: str, start: Start, upstream: Upstream
) -> None:
    """The fixture sees that no traceback has been told."""
    process = await start({}, *[by][by == "SIGHUP" :], workers=workers)
    changed = process.path.with_suffix(".new")
    changed.write_text("[server]\nport = yes\n", "utf-8")
    changed.replace(process.path)
    if by == "SIGHUP":
        process.process.send_signal(signal.SIGHUP)
    fault = "config.toml: line 2, column 8: [server] port: not a valid value"
    assert fault in await process.line("ERROR")
    assert REFUSED in await process.line("ERROR")


@COMMAND
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_turns_tracing_on(
    workers: int, start: Start, upstream: Upstream
) -> None:
    async with Upstream() as collector:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "1",
        }
        process = await start(environment, workers=workers)
        process.write(
            {"/a": {"target": upstream.url}},
            {"tracing": {"enabled": True}},
            workers=workers,
        )
        process.process.send_signal(signal.SIGHUP)
        line = await process.line("configuration reloaded")
        assert line.endswith("reloaded: [tracing] changed (enabled)\n")
        _, server = await process.begin(upstream, OTHER)
        await server.send(b"0\r\n\r\n")
        exported = await collector.request()
        assert b"POST /v1/traces HTTP/1.1" in exported.head_lines
        exported.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        process.process.send_signal(signal.SIGTERM)
        process.process.send_signal(signal.SIGTERM)
        await process.ended()


@pytest.fixture
def configured(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    tables: dict[str, Table] = {"tracing": {"enabled": True}, "server": {"port": 0}}
    path.write_text(document({"/a": {"target": "http://h:1"}}, tables), "utf-8")
    return str(path)


@pytest.mark.parametrize("arguments", [("check",), ("serve", "--workers", "2")])
def test_a_package_that_is_missing_is_told_at_the_check(
    arguments: tuple[str, ...], configured: str, tmp_path: Path
) -> None:
    ended = command(without_otel(tmp_path), *arguments, "--config", configured)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    place, _, message = line.partition("[")
    assert re.fullmatch(rf"unbuffered: {re.escape(configured)}: line \d+: ", place)
    assert f"[{message}".startswith(NO_OTEL)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_package_that_is_broken_is_one_line_at_the_start(
    workers: str, configured: str, tmp_path: Path
) -> None:
    ended = command(
        with_broken_otel(tmp_path),
        *("serve", "--workers", workers, "--config", configured),
    )
    assert ended.returncode in (1, 2)
    (line,) = ended.stderr.splitlines()
    assert line == f"unbuffered: {BROKEN_OTEL}"


def command(
    environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=GUARD,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
