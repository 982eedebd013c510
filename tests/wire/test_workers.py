"""Several workers: who answers, who is replaced, how all of them end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import trustme

from proxy import __version__
from proxy.record.record_reader import read_record
from tests.support.certificates import Authority
from tests.support.kept import EVENT_HEAD, ask, post, stream_id
from tests.support.listening import listen
from tests.support.looking import asked, looking
from tests.support.process import EVENTS, GET, GUARD, OTHER, ROOT, Process
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import Table

# What is tested has an event loop of its own in each process.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]

UNKNOWN = GET.replace(b"/a/", b"/none/")


class Workers(Process):
    """A supervisor with its workers."""

    async def begin_all(self, upstream: Upstream, head: bytes) -> list[list[Peer]]:
        """A stream in each worker: its client and the upstream's end of it."""
        streams = []
        for path in sorted(self.path.parent.glob("unbuffered-*/*.sock")):
            client = Peer(*await asyncio.open_unix_connection(path))
            self.clients.append(client)
            await client.send(GET)
            server = await upstream.request()
            await server.send(head)
            await client.read_head()
            streams.append([client, server])
        return streams

    async def at(self, number: int) -> Peer:
        """A client of one of the workers."""
        (path,) = self.path.parent.glob(f"unbuffered-*/{number}.sock")
        self.clients.append(Peer(*await asyncio.open_unix_connection(path)))
        return self.clients[-1]

    async def replaced(self) -> tuple[int, int]:
        """Wait until a worker has been replaced; its number and its process."""
        line = await self.line("is running as process")
        found = re.search(r"worker (\d+) is running as process (\d+)", line)
        assert found
        assert int(found[2]) in self.workers
        return int(found[1]), int(found[2])

    @property
    def workers(self) -> list[int]:
        return children(self.process.pid)


def left_in(folder: Path) -> list[Path]:
    """The places of private sockets in there."""
    return list(folder.glob("unbuffered-*"))


def children(parent: int) -> list[int]:
    """The processes that a process has started, and not buried yet."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


async def dead(process: int) -> None:
    """Wait for the end of a process; its descriptor can be read from then."""
    ended, _, _ = await asyncio.to_thread(select.select, [process], [], [], GUARD)
    assert ended
    os.close(process)


Start = Callable[..., Awaitable[Workers]]


@pytest.fixture
async def start(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Start]:
    started: list[Workers] = []
    path = tmp_path / "config.toml"

    async def begin(
        *arguments: str,
        temporary: str = str(tmp_path),
        route: Mapping[str, object] | None = None,
        tables: Mapping[str, Table] = {},
        **server: object,
    ) -> Workers:
        file = Process(path, None)  # type: ignore[arg-type]  # to write it by
        table = {"target": upstream.url, **(route or {})}
        file.write({"/a": table}, tables, **{"workers": 2, **server})
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "proxy.cli.main", "serve", "--config", str(path), *arguments),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": temporary},
        )
        started.append(Workers(path, process))
        return started[-1]

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
    assert left_in(tmp_path) == []


@pytest.fixture
async def workers(start: Start) -> Workers:
    """Two workers that serve."""
    process = await start()
    await serving(process)
    return process


async def serving(
    process: Workers, scheme: str = "http", host: str = "127.0.0.1"
) -> None:
    banner = await process.line(f"Unbuffered {__version__} on {scheme}://")
    assert "2 workers" in banner
    process.port = int(banner.partition(f"{host}:")[2].partition("/")[0])
    await process.line("Ctrl-C stops")


# -- the port ---------------------------------------------------------------------


async def test_requests_reach_more_than_one_worker(workers: Workers) -> None:
    """With one of two dead, a part of forty connections is gone with it."""
    clients = [await workers.client() for _ in range(40)]
    for client in clients:
        await client.send(UNKNOWN)
        await client.read_head()
    os.kill(workers.workers[0], signal.SIGKILL)
    await workers.replaced()
    left = 0
    for client in clients:
        try:
            await client.send(UNKNOWN)
            await client.read_head()
            left += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
    assert 0 < left < 40


async def test_each_worker_records_what_it_serves(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    process = await start("--record", str(folder))
    await serving(process)
    await process.line("Recording every exchange in ")
    for client, server in await process.begin_all(upstream, EVENTS):
        await server.send(chunk(b"data: 1\n\n") + chunk(b""))
        assert await client.read_body() == b"data: 1\n\n"
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    records = [read_record(path.read_bytes(), path.name) for path in folder.iterdir()]
    assert len(records) == 2
    for record in records:
        assert [piece.data for piece in record.response_pieces] == [b"data: 1\n\n"]
        assert record.end is not None


@pytest.mark.parametrize("number", ["1", "2"])
async def test_a_second_proxy_on_the_port_is_refused(
    workers: Workers, start: Start, number: str
) -> None:
    other = await start("--port", str(workers.port), "--workers", number)
    line = await other.line("cannot listen on")
    assert line.startswith(f"unbuffered: cannot listen on 127.0.0.1:{workers.port}: ")
    assert "another program is using this port" in line
    assert await other.ended() == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
async def test_no_program_may_join_that_shares_the_port_itself(
    start: Start, host: str
) -> None:
    """SO_REUSEPORT alone would let any program of the same user in."""
    workers = await start(host=host)
    await serving(workers, host=f"[{host}]" if ":" in host else host)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", workers.port))


@pytest.mark.parametrize("number", ["1", "2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
async def test_a_program_that_shares_the_port_is_another_program(
    start: Start, host: str, number: str
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        process = await start("--port", port, "--workers", number, host=host)
        line = await process.line("another program is using this port")
        where = f"[{host}]" if ":" in host else host
        assert f"cannot listen on {where}:{port}: " in line
        assert await process.ended() == 1


# -- a worker that dies -----------------------------------------------------------


async def test_a_killed_worker_is_replaced_and_the_others_streams_go_on(
    workers: Workers, upstream: Upstream
) -> None:
    streams = await workers.begin_all(upstream, OTHER)
    os.kill(workers.workers[0], signal.SIGKILL)
    line = await workers.line("was killed by SIGKILL")
    number, _ = await workers.replaced()
    assert f"ERROR worker {number} (process " in line
    assert line.endswith("; a replacement starts now\n")
    (client, server) = streams.pop(number)
    assert await client.read_rest() == b""
    await server.closed()
    ((client, server),) = streams
    await server.send(chunk(b"unharmed"))
    assert await client.read_chunk() == b"unharmed"


async def test_connections_that_wait_for_a_worker_wait_for_the_next_one(
    workers: Workers, upstream: Upstream
) -> None:
    stopped = workers.workers[0]
    os.kill(stopped, signal.SIGSTOP)
    clients = [await workers.client() for _ in range(20)]
    os.kill(stopped, signal.SIGKILL)
    await workers.replaced()
    for client in clients:
        await client.send(UNKNOWN)
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def test_a_worker_that_dies_again_and_again_is_replaced_more_slowly(
    workers: Workers,
) -> None:
    worker = workers.workers[0]
    for delay in ("now", "in 0.25 s", "in 0.5 s"):
        os.kill(worker, signal.SIGKILL)
        line = await workers.line(f"process {worker}) was killed by SIGKILL")
        assert line.endswith(f"; a replacement starts {delay}\n")
        _, worker = await workers.replaced()


async def test_workers_end_when_their_supervisor_is_killed(
    workers: Workers, upstream: Upstream
) -> None:
    """Nothing is left behind, and a stream may end within the drain."""
    streams = await workers.begin_all(upstream, OTHER)
    supervisor = os.pidfd_open(workers.process.pid)
    processes = [os.pidfd_open(pid) for pid in workers.workers]
    os.kill(workers.process.pid, signal.SIGKILL)
    for _ in processes:
        await workers.line("the supervisor is gone; this worker drains and exits")
    await dead(supervisor)  # they may hear of it while it still lets go of things
    with socket.socket() as successor:  # the port is free at once
        successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        successor.bind(("127.0.0.1", workers.port))
        successor.listen()
    for client, server in streams:
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
    for process in processes:
        await dead(process)
    assert left_in(workers.path.parent) == []


# -- the start --------------------------------------------------------------------


async def test_what_keeps_workers_from_starting_ends_the_whole(
    start: Start, tmp_path: Path
) -> None:
    """A place without room for the workers' sockets, for one."""
    (tmp_path / "long").mkdir()
    deep = tmp_path / "long" / ("x" * 100)
    deep.mkdir()
    process = await start(temporary=str(deep))
    await process.line(
        "unbuffered: cannot create a directory for the worker sockets (see TMPDIR): "
    )
    assert await process.ended() == 1
    assert not list(deep.iterdir())


# -- the end ----------------------------------------------------------------------


async def test_a_signal_drains_all_workers(
    workers: Workers, upstream: Upstream
) -> None:
    streams = await workers.begin_all(upstream, OTHER)
    workers.process.send_signal(signal.SIGTERM)
    await workers.line(
        "draining 2 exchanges for up to 10 s; send the signal again to stop"
    )
    with pytest.raises(ConnectionRefusedError):
        await workers.client()
    for client, server in streams:
        await server.send(chunk(b"more"))
        assert await client.read_chunk() == b"more"
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
    assert await workers.ended() == 0


async def test_the_worst_end_of_a_worker_is_that_of_the_whole(
    start: Start, upstream: Upstream
) -> None:
    """One worker has nothing to wait for: nothing has to happen within the 0.2 s."""
    process = await start(drain_seconds=0.2)
    await serving(process)
    streams = await process.begin_all(upstream, OTHER)
    await streams[0][1].send(b"0\r\n\r\n")
    assert await streams[0][0].read_chunk() == b""
    process.process.send_signal(signal.SIGTERM)
    await process.line("1 exchange cut before the end")
    assert await streams[1][0].read_rest() == b""
    assert await process.ended() == 3


async def test_ctrl_c_reaches_all_processes_and_counts_once(
    workers: Workers, upstream: Upstream
) -> None:
    """A terminal sends SIGINT to the whole group of processes."""
    streams = await workers.begin_all(upstream, EVENTS)
    os.killpg(workers.process.pid, signal.SIGINT)
    await workers.line("draining 2 exchanges")
    for client, server in streams:
        await server.send(chunk(b"data: x\n\n") + b"0\r\n\r\n")
        assert await client.read_body() == b"data: x\n\n"
    assert await workers.ended() == 0


async def test_a_second_signal_ends_all_at_once(
    start: Start, upstream: Upstream
) -> None:
    process = await start(drain_seconds=1000)
    await serving(process)
    streams = await process.begin_all(upstream, OTHER)
    os.killpg(process.process.pid, signal.SIGTERM)
    await process.line("draining 2 exchanges")
    os.killpg(process.process.pid, signal.SIGINT)
    assert await process.ended() == 130
    for client, server in streams:
        assert await client.read_rest() == b""
        await server.closed()


# -- several ports ----------------------------------------------------------------


def beside(process: Workers) -> list[int]:
    """The ports of `[[listen]]`, as the banner tells them."""
    return [*map(int, re.findall(r"and on https?://127.0.0.1:(\d+)/", process.told))]


async def asked_at(port: int, tls: ssl.SSLContext | None = None) -> tuple[bytes, int]:
    """The status line of an answer there, and the serial number of the certificate."""
    async with asyncio.timeout(GUARD):
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
        await peer.send(UNKNOWN)
        await peer.read_head()
    shown = peer.writer.get_extra_info("peercert")
    peer.writer.transport.abort()
    return peer.head_lines[0], int(shown["serialNumber"], 16) if shown else 0


async def test_listeners_beside_are_shared_by_all_workers(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls")
    tables = listen({"https_redirect": True}, authority.server)
    process = await start(tables=tables)
    await serving(process)
    plain, secure = beside(process)
    assert f":{plain}/  (redirects to https)\n" in process.told

    async def all_answer() -> set[int]:
        numbers = set()
        for _ in range(10):
            assert (await asked_at(process.port))[0] == b"HTTP/1.1 404 Not Found"
            assert b" 308 " in (await asked_at(plain))[0]
            line, number = await asked_at(secure, authority.context())
            assert b" 404 " in line
            numbers.add(number)
        return numbers

    before = await all_answer()
    os.kill(process.workers[0], signal.SIGKILL)
    await process.replaced()
    assert await all_answer() == before
    authority.issue()
    process.process.send_signal(signal.SIGHUP)
    await process.line("(content of tls_certificate, content of tls_key)")
    after = await all_answer()
    assert len(after) == 1
    assert after != before
    os.kill(process.workers[0], signal.SIGKILL)  # the next one has the new one, too
    await process.replaced()
    assert await all_answer() == after
    routes = {"/a": {"target": "http://127.0.0.1:1"}}
    process.write(routes, listen({}), workers=2)
    process.process.send_signal(signal.SIGHUP)
    await process.line("other addresses require a restart with several workers")
    assert await all_answer() == after
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    for port in (process.port, plain, secure):
        with pytest.raises(ConnectionRefusedError):
            await asked_at(port)


async def test_all_workers_show_the_certificate_for_a_name(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls")
    other = tmp_path / "other.pem"

    def issue() -> None:
        leaf = authority.authority.issue_cert("other.test")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(other))

    async def numbers() -> set[int]:
        context = authority.context()
        found = set()
        for port in [process.port, *beside(process)] * 10:
            async with asyncio.timeout(GUARD):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname="other.test"
                )
            shown = writer.get_extra_info("peercert")
            found.add(int(shown["serialNumber"], 16))
            writer.transport.abort()
        return found

    issue()
    tables = {
        **listen(authority.server),
        "[certificate]": {"tls_certificate": str(other)},
    }
    process = await start(tables=tables, **authority.server)
    await serving(process, "https")
    before = await numbers()
    assert len(before) == 1
    issue()
    process.process.send_signal(signal.SIGHUP)
    await process.line(f"[[certificate]] {other} changed (content of tls_certificate)")
    after = await numbers()
    assert len(after) == 1
    assert after != before


async def test_a_listener_beside_that_is_taken_stops_all(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(tables=listen({"port": port}))
        line = await process.line("[[listen]] number 1: cannot listen on")
        assert f"127.0.0.1:{port}: another program is using this port" in line
        assert await process.ended() == 1


# -- the reload -------------------------------------------------------------------


async def test_a_hangup_reloads_all_workers_and_is_told_once(
    workers: Workers, upstream: Upstream
) -> None:
    streams = await workers.begin_all(upstream, OTHER)
    routes = {"/b": {"target": upstream.url}}
    workers.write(routes, workers=2)
    os.killpg(workers.process.pid, signal.SIGHUP)
    line = await workers.line("configuration reloaded")
    assert line.endswith("reloaded: route /a removed; route /b added\n")
    workers.write({"/b": {"target": "no"}}, workers=2)
    workers.process.send_signal(signal.SIGHUP)
    assert '[routes."/b"] target: ' in await workers.line("ERROR")
    assert "rejected" in await workers.line("")
    workers.write(routes, workers=3)
    workers.process.send_signal(signal.SIGHUP)
    line = await workers.line("ERROR")
    assert line.endswith("[server] workers: 3 instead of 2 requires a restart\n")
    for client, server in streams:
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
        await client.send(GET)
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def test_each_worker_sends_heartbeats_from_a_reload_on(
    workers: Workers, upstream: Upstream
) -> None:
    before = await workers.begin_all(upstream, EVENTS)
    route = {"target": upstream.url, "heartbeat_seconds": 0.02}
    workers.write({"/a": route}, workers=2)
    workers.process.send_signal(signal.SIGHUP)
    await workers.line("configuration reloaded: route /a changed")
    streams = await workers.begin_all(upstream, EVENTS)
    assert len(streams) == 2
    for client, _ in streams:
        for _ in range(3):
            assert await client.read_chunk() == b":\n"
    for client, server in before:  # these have the route of before
        await server.send(chunk(b"data: 1\n\n"))
        assert await client.read_chunk() == b"data: 1\n\n"


async def test_all_workers_move_to_another_port_and_hold_it_when_replaced(
    workers: Workers, upstream: Upstream
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = await workers.client()
    workers.write({"/a": {"target": upstream.url}}, workers=2, port=port)
    workers.process.send_signal(signal.SIGHUP)
    await workers.line("configuration reloaded: [server] changed (port)")
    await refusing("127.0.0.1", workers.port, connects)
    await before.send(UNKNOWN)
    assert (await before.read_head()).startswith(b"HTTP/1.1 404 ")
    workers.port = port
    os.kill(workers.workers[0], signal.SIGKILL)
    await workers.replaced()
    for client in [await workers.client() for _ in range(10)]:
        await client.send(UNKNOWN)
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
async def test_all_workers_move_to_another_host_on_the_port_and_lose_nobody(
    workers: Workers, upstream: Upstream, host: str
) -> None:
    """Their own sockets, and what guards them, are not another program."""
    routes, port = {"/a": {"target": upstream.url}}, workers.port
    for to in (host, "127.0.0.1", host):
        stopped = workers.workers[0]
        os.kill(stopped, signal.SIGSTOP)
        clients = [await workers.client() for _ in range(20)]
        workers.write(routes, workers=2, port=port, host=to)
        workers.process.send_signal(signal.SIGHUP)
        clients += [await workers.client() for _ in range(20)]  # to all that listen
        os.kill(stopped, signal.SIGCONT)
        line = await workers.line("configuration re")
        assert "reloaded: [server] changed (host" in line
        clients += [await workers.client() for _ in range(20)]
        for client in clients:
            await client.send(UNKNOWN)
            assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    os.kill(workers.workers[0], signal.SIGKILL)
    await workers.replaced()
    for client in [await workers.client() for _ in range(10)]:
        await client.send(UNKNOWN)
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def test_after_a_move_of_host_no_program_may_join_either(
    workers: Workers, upstream: Upstream
) -> None:
    for host in ("0.0.0.0", "127.0.0.1"):
        workers.write(
            {"/a": {"target": upstream.url}}, workers=2, port=workers.port, host=host
        )
        workers.process.send_signal(signal.SIGHUP)
        await workers.line("configuration reloaded")
        await refusing("127.0.0.1", workers.port, joins)
    await refusing("127.0.0.2", workers.port, connects)


def joins(address: tuple[str, int]) -> None:
    """Listen there as a program does that shares."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(address)


def connects(address: tuple[str, int]) -> None:
    socket.create_connection(address).close()


async def refusing(
    host: str, port: int, attempt: Callable[[tuple[str, int]], None]
) -> None:
    """Wait until an attempt fails: the workers leave once all of them have moved."""
    async with asyncio.timeout(GUARD):
        while True:
            try:
                attempt((host, port))
            except OSError:
                return
            await asyncio.sleep(0)


async def test_a_program_in_the_way_of_another_host_is_told_and_all_is_as_it_was(
    workers: Workers, upstream: Upstream
) -> None:
    routes, port = {"/a": {"target": upstream.url}}, workers.port
    with socket.create_server(("127.0.0.2", port)):
        workers.write(routes, workers=2, port=port, host="0.0.0.0")
        workers.process.send_signal(signal.SIGHUP)
        assert "another program is using this port" in await workers.line(
            "cannot listen"
        )
        await workers.line("configuration rejected")
        for client in [await workers.client() for _ in range(10)]:
            await client.send(UNKNOWN)
            assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    workers.process.send_signal(signal.SIGHUP)
    await workers.line("configuration reloaded: [server] changed (host")


async def test_one_worker_becomes_no_two_by_a_reload(start: Start) -> None:
    process = await start(workers=1)
    await process.line("Ctrl-C stops")
    process.write({"/a": {"target": "http://127.0.0.1:1"}}, workers=2)
    process.process.send_signal(signal.SIGHUP)
    line = await process.line("ERROR")
    assert line.endswith("[server] workers: 2 instead of 1 requires a restart\n")
    await process.line("configuration rejected; the previous one remains active")


async def test_a_worker_is_replaced_whatever_has_become_of_the_certificate(
    start: Start, tmp_path: Path
) -> None:
    authority = trustme.CA()
    pair = tmp_path / "pair.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pair)
    process = await start(tls_certificate=str(pair))
    await serving(process, "https")
    pair.write_text("nothing")
    for worker in process.workers:
        os.kill(worker, signal.SIGKILL)
        await process.replaced()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", process.port, ssl=context
    )
    process.clients.append(client := Peer(reader, writer))
    await client.send(UNKNOWN)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


# -- the private sockets ----------------------------------------------------------


async def test_the_workers_sockets_are_for_their_user_alone(workers: Workers) -> None:
    [folder] = left_in(workers.path.parent)
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


async def test_the_inspector_shows_the_streams_of_every_worker(
    workers: Workers, upstream: Upstream
) -> None:
    """Whichever worker is asked: one of the two streams is always another's."""
    await workers.begin_all(upstream, OTHER)
    shown: set[str] = set()
    async with looking(workers) as feed:
        assert (await feed.next("state"))["workers"] == 2
        while len(shown) < 2:
            told = await feed.next("exchanges")
            shown.update(row["id"] for row in told["open"])
    assert sorted(ident.partition("-")[0] for ident in shown) == ["0", "1"]
    for ident in shown:
        status, body = await asked(workers, f"exchanges/{ident}")
        assert (status, json.loads(body)["id"]) == (200, ident)
        async with looking(workers, f"exchanges/{ident}/feed") as pieces:
            assert (await pieces.next("row"))["id"] == ident


# -- streams that are kept: see `test_hand_over`


async def kept(start: Start, upstream: Upstream) -> tuple[Workers, Peer, int, bytes]:
    """Workers, the upstream of a stream, the worker that has it, and its ID."""
    process = await start(route={"resume": True})
    await serving(process)
    client = await process.at(0)
    await client.send(ask(b"/a/x"))
    peer = await upstream.request()
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    await client.read_chunk()
    id = stream_id(client)
    return process, peer, int(id.partition(b"-")[0]), id


async def test_a_stream_is_handed_over_until_its_worker_dies(
    start: Start, upstream: Upstream
) -> None:
    process, peer, owner, id = await kept(start, upstream)
    last = (id + b".1").decode()
    clients = [await process.at(number) for number in (0, 1)]
    for client in clients:
        await client.send(ask(b"/a/x", Last_Event_ID=last))
        await client.read_head()
        assert stream_id(client) == id
    await peer.send(chunk(b"data: two\n\n"))
    for client in clients:
        assert await client.read_chunk() == b"data: two\nid: %b.2\n\n" % id
    process.process.send_signal(signal.SIGHUP)
    await process.line("reloaded")
    await peer.send(chunk(b"data: three\n\n"))
    for client in clients:
        assert await client.read_chunk() == b"data: three\nid: %b.3\n\n" % id

    os.kill(process.workers[owner], signal.SIGKILL)
    await peer.closed()
    for client in clients:
        rest, _ = await client.read_to_close()
        assert not rest.endswith(chunk(b""))
    number, _ = await process.replaced()
    assert number == owner
    for number in (0, 1):
        client = await process.at(number)
        await client.send(ask(b"/_unbuffered/streams/" + id))
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
        client = await process.at(number)
        await client.send(ask(b"/a/x", Last_Event_ID=last))
        peer = await upstream.request()
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        assert stream_id(client) != id
        assert (await client.read_chunk()).startswith(b": ")


async def test_all_workers_know_a_client_by_the_same(
    start: Start, upstream: Upstream
) -> None:
    process = await start(route={"resume": True})
    await serving(process)
    for number in range(6):  # each decides anew which worker it is
        request = post(b"/a/x", b"{}", Idempotency_Key=f"{number}", Authorization="a")
        clients = [await process.at(number) for number in (0, 1)]
        await clients[0].send(request)
        peer = await upstream.request()
        await clients[1].send(request)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        for client in clients:
            await client.read_head()
            assert await client.read_chunk() == b"data: one\n\n"
    assert upstream.unexpected == 0


async def test_what_was_handed_over_is_drained_as_all_else(
    start: Start, upstream: Upstream
) -> None:
    process, peer, owner, id = await kept(start, upstream)
    client = await process.at(owner ^ 1)
    await client.send(ask(b"/a/x", Last_Event_ID=(id + b".1").decode()))
    await client.read_head()
    await peer.send(chunk(b"data: two\n\n"))
    await client.read_chunk()
    process.process.send_signal(signal.SIGTERM)
    assert await client.read_body() == b""  # an EventSource comes back
    await peer.closed()
    client.close()
    for each in process.clients:
        each.writer.transport.abort()
    assert await process.ended() == 0


async def test_all_workers_count_the_streams_of_a_client(
    start: Start, upstream: Upstream
) -> None:
    """And those of a worker that was killed no more."""
    workers = await start(route={"max_streams_per_client": 2})
    await serving(workers)

    async def status(number: int) -> bytes:
        client = await workers.at(number)
        await client.send(ask(b"/a/x"))
        line = asyncio.ensure_future(client.read_head())
        server = asyncio.ensure_future(upstream.request())
        await asyncio.wait([line, server], return_when=asyncio.FIRST_COMPLETED)
        if server.done():
            await server.result().send(EVENT_HEAD % b"")
        else:
            server.cancel()
        return (await line)[9:12]

    assert [await status(0), await status(1)] == [b"200", b"200"]
    assert [await status(0), await status(1)] == [b"429", b"429"]
    os.kill(workers.workers[0], signal.SIGKILL)
    number, _ = await workers.replaced()
    assert await status(number) == b"200"
    assert [await status(0), await status(1)] == [b"429", b"429"]
