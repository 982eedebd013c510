"""`unbuffered.Proxy` on the event loop of its host: what passes, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

import unbuffered
from proxy.config.load import from_routes, load
from proxy.library.given_config import given_config
from tests.conftest import Complaints
from tests.support.looking import answer
from tests.support.ports import ClosedPort
from tests.support.raw import GUARD, Peer, Upstream, chunk, connect
from tests.support.running import document

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
T = TypeVar("T")
OPEN: list[Peer] = []  # clients of the present test


@pytest.fixture(autouse=True)
async def clients_leave() -> AsyncIterator[None]:
    yield
    for client in OPEN:
        client.writer.transport.abort()
    await asyncio.sleep(0)
    OPEN.clear()


async def client_of(proxy: unbuffered.Proxy, host: str = "127.0.0.1") -> Peer:
    OPEN.append(await connect(proxy.port, host))
    return OPEN[-1]


async def is_accepted(proxy: unbuffered.Proxy) -> bool:
    with socket.socket() as sock:
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, ("127.0.0.1", proxy.port))
        except (ConnectionRefusedError, ConnectionResetError):  # while it closes
            return False
        return True


async def begin(proxy: unbuffered.Proxy, upstream: Upstream) -> tuple[Peer, Peer]:
    """A stream whose first event is with the client."""
    client = await client_of(proxy)
    await client.send(GET)
    peer = await upstream.request()
    await peer.send(HEAD + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    return client, peer


async def end(client: Peer, peer: Peer) -> None:
    await peer.send(chunk(b""))
    assert await client.read_body() == b""


async def test_each_event_arrives_before_the_next_is_sent(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, peer = await begin(proxy, upstream)
        (running,) = proxy.exchanges()
        assert running.running
        assert (running.target, running.status, running.ending) == ("/x", 200, None)
        await peer.send(chunk(b"data: 2\n\n"))
        assert await client.read_chunk() == b"data: 2\n\n"
        await end(client, peer)
        (ended,) = await proxy.wait_ended()
        assert (ended.id, ended.running, ended.ending) == (1, False, "complete")
        assert (ended.pieces, ended.bytes_sent) == (2, 18)
        assert (ended.kind, ended.route, ended.error) == ("event-stream", "/", None)
    assert proxy.exchanges() == [ended]  # also after the end
    assert proxy.url == f"http://127.0.0.1:{proxy.port}"


async def test_an_upstream_that_breaks_is_an_ending_with_its_reason(
    upstream: Upstream,
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, peer = await begin(proxy, upstream)
        peer.close()
        await client.read_rest()
        (ended,) = await proxy.wait_ended()
        assert ended.ending == "upstream broke"
        assert ended.error_type == "http_response_incomplete"
        assert ended.error is not None
        assert "closed" in ended.error


async def test_each_end_is_told_once_until_the_callback_is_removed(
    upstream: Upstream,
) -> None:
    told: list[unbuffered.Exchange] = []
    async with unbuffered.Proxy({"/none": upstream.url}) as proxy:
        remove = proxy.on_end(told.append)
        client = await client_of(proxy)
        for number in (1, 2):
            await client.send(GET)
            await client.read_head()
            await proxy.wait_ended(number)
            assert [each.status for each in told] == [404]
            remove()
            remove()
            length = int(client.head.lower().split(b"content-length: ")[1].split()[0])
            await client.read(length)


async def test_a_callback_that_raises_is_told_to_the_loop_and_stops_no_other(
    upstream: Upstream,
) -> None:
    loop = asyncio.get_running_loop()
    heard: list[dict[str, object]] = []
    told: list[unbuffered.Exchange] = []
    loop.set_exception_handler(lambda _, context: heard.append(context))

    def wrong(exchange: unbuffered.Exchange) -> None:
        raise ValueError(exchange.target)

    async with unbuffered.Proxy({"/none": upstream.url}) as proxy:
        proxy.on_end(wrong)
        proxy.on_end(told.append)
        client = await client_of(proxy)
        await client.send(GET)
        await proxy.wait_ended()
    loop.set_exception_handler(None)
    assert [type(context["exception"]) for context in heard] == [ValueError]
    assert len(told) == 1


async def test_who_waits_for_more_exchanges_than_come_is_told_at_the_end() -> None:
    async with unbuffered.Proxy({"/": "http://127.0.0.1:1"}) as proxy:
        waiting = proxy.wait_ended(2)
        await asyncio.sleep(0)
        assert not waiting.done()
    with pytest.raises(RuntimeError, match="0 of 2 exchanges have ended"):
        await waiting


# -- reload


async def reload_metric(proxy: unbuffered.Proxy) -> int:
    """Whether the last reload was applied."""
    client = await client_of(proxy)
    await client.send(b"GET /_unbuffered/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    _, body = await answer(client)
    client.close()
    found = re.search(rb"\nunbuffered_config_last_reload_successful\S* (\d)\n", body)
    assert found is not None
    return int(found[1])


async def test_a_reload_changes_routes_and_leaves_running_exchanges(
    upstream: Upstream,
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, peer = await begin(proxy, upstream)
        port = proxy.port
        await proxy.reload({"/other": upstream.url})
        assert proxy.port == port
        other = await client_of(proxy)
        await other.send(GET)
        assert b" 404 " in (await other.read_head())
        await end(client, peer)


async def test_a_faulty_reload_raises_and_all_is_as_it_was(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        with pytest.raises(unbuffered.ConfigError) as raised:
            await proxy.reload({"/": {"tarjet": 1}, "x": "ftp://a"})
        assert len(raised.value.faults) == 4
        assert await reload_metric(proxy) == 0
        await proxy.reload()
        assert await reload_metric(proxy) == 1
        await begin(proxy, upstream)


async def test_a_reload_without_routes_reads_the_file_again(
    upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(document({"/old": {"target": upstream.url}}, {}), "utf-8")
    async with unbuffered.Proxy.from_file(path, port=0) as proxy:
        path.write_text(document({"/": {"target": upstream.url}}, {}), "utf-8")
        await proxy.reload()
        await begin(proxy, upstream)
        path.write_text("[routes", "utf-8")
        with pytest.raises(unbuffered.ConfigError, match="line 1"):
            await proxy.reload()


async def test_a_reload_that_asks_for_a_restart_is_refused(upstream: Upstream) -> None:
    store = {"url": ""}
    async with unbuffered.Proxy({"/": upstream.url}, store=store) as proxy:
        store["url"] = "redis://127.0.0.1:1"
        store["key"] = "0123456789abcdef" * 4
        with pytest.raises(unbuffered.ConfigError, match="requires a restart"):
            await proxy.reload()


# -- the end


async def test_a_drain_lets_an_exchange_end_and_takes_no_more(
    upstream: Upstream,
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, peer = await begin(proxy, upstream)
        draining = proxy.drain(GUARD)
        while await is_accepted(proxy):  # until one of the next turns
            pass
        await end(client, peer)
        assert await draining == 0
        assert not proxy.running
        assert await proxy.drain(GUARD) == 0  # there is nothing left


async def test_a_drain_says_how_many_clients_it_has_cut(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, _ = await begin(proxy, upstream)
        assert await proxy.drain(0) == 1
        await client.read_to_close()
        (cut,) = proxy.exchanges()
        assert cut.ending == "shut down"


async def test_leaving_drains_for_drain_seconds(upstream: Upstream) -> None:
    routes = {"/": upstream.url}
    async with unbuffered.Proxy(routes, server={"drain_seconds": 60}) as proxy:
        client, peer = await begin(proxy, upstream)
        proxy.on_end(lambda _: None)
        ending = asyncio.ensure_future(end(client, peer))
    await ending
    (ended,) = proxy.exchanges()
    assert ended.ending == "complete"


async def test_a_drain_that_is_cancelled_cuts_at_once(
    upstream: Upstream, complaints: Complaints
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        client, _ = await begin(proxy, upstream)
        draining = asyncio.ensure_future(proxy.drain(600))
        await asyncio.sleep(0)
        assert not draining.done()
        draining.cancel()
        assert b"0\r\n" not in (await client.read_to_close())[0]
        (cut,) = proxy.exchanges()
        assert cut.ending == "shut down"


# Calls that end a drain of 600 s, and how many clients each of them has cut.
SOONER = {
    "drain(0)": lambda proxy: proxy.drain(0),
    "drain(0.01)": lambda proxy: proxy.drain(0.01),
    "leaving": lambda proxy: proxy.__aexit__(None, None, None),
}


@pytest.mark.parametrize("name", SOONER)
async def test_of_several_drains_the_one_that_ends_first_counts(
    name: str, upstream: Upstream
) -> None:
    tables = {"drain_seconds": 0.01}
    async with unbuffered.Proxy({"/": upstream.url}, server=tables) as proxy:
        client, _ = await begin(proxy, upstream)
        first, other = proxy.drain(600), proxy.drain(float("inf"))
        while await is_accepted(proxy):  # until one of the next turns
            pass
        async with asyncio.timeout(GUARD):
            await SOONER[name](proxy)
            assert await first == await other == 1
        assert b"0\r\n" not in (await client.read_to_close())[0]
        (cut,) = proxy.exchanges()
        assert cut.ending == "shut down"
        assert not proxy.running


async def test_drains_of_one_turn_have_one_end(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        await begin(proxy, upstream)
        drains = [proxy.drain(seconds) for seconds in (600, 0, 600)]
        async with asyncio.timeout(GUARD):
            assert [await each for each in drains] == [1, 1, 1]


async def test_a_longer_drain_does_not_lengthen_the_one_before(
    upstream: Upstream,
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        await begin(proxy, upstream)
        async with asyncio.timeout(GUARD):
            assert [await each for each in (proxy.drain(0), proxy.drain(600))] == [1, 1]


async def test_to_cancel_one_of_two_drains_cuts_and_both_end(
    upstream: Upstream,
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        await begin(proxy, upstream)
        first = asyncio.ensure_future(proxy.drain(600))
        other = proxy.drain(600)
        while await is_accepted(proxy):
            pass
        first.cancel()
        async with asyncio.timeout(GUARD):
            assert await other == 1
        assert first.cancelled()
        assert not proxy.running


async def test_a_proxy_that_drains_is_not_reloaded(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        await begin(proxy, upstream)
        draining = proxy.drain(600)
        with pytest.raises(RuntimeError, match="and does not drain"):
            await proxy.reload({"/": "http://127.0.0.1:1"})
        await proxy.drain(0)
        assert await draining == 1


async def test_it_can_run_again_after_its_end(upstream: Upstream) -> None:
    proxy = unbuffered.Proxy({"/": upstream.url})
    for _ in range(2):
        async with proxy:
            await end(*await begin(proxy, upstream))
            (ended,) = await proxy.wait_ended()
            assert ended.id == 1


async def test_it_does_not_run_twice_at_once(upstream: Upstream) -> None:
    async with unbuffered.Proxy({"/": upstream.url}) as proxy:
        with pytest.raises(RuntimeError, match="runs already"):
            async with proxy:
                pass
        await end(*await begin(proxy, upstream))


async def test_several_in_one_process_know_nothing_of_each_other(
    upstream: Upstream,
) -> None:
    routes = {"/": upstream.url}
    async with unbuffered.Proxy(routes) as one, unbuffered.Proxy(routes) as other:
        client, peer = await begin(one, upstream)
        async with unbuffered.Proxy(routes) as third:
            await end(*await begin(third, upstream))
        assert other.exchanges() == []
        await end(client, peer)
        assert len(await one.wait_ended()) == 1


# -- the configuration


def test_an_address_is_what_the_option_route_makes_of_it() -> None:
    pairs = {"/sse": "http://localhost:1/a$1", "/": "http://localhost:2"}
    assert given_config(pairs, {}).routes == from_routes(pairs).routes


def test_a_mapping_is_the_table_of_the_file(tmp_path: Path) -> None:
    routes = {
        "/a": {
            "target": ["http://localhost:1", "http://localhost:2"],
            "path_rewrite": {"^/a": ""},
            "heartbeat_seconds": 15,
            "headers": {"request": {"set": {"X-A": "1"}}},
            "resume": True,
        }
    }
    path = tmp_path / "config.toml"
    path.write_text(document(routes, {}), "utf-8")
    in_tuples = {"/a": {**routes["/a"], "target": ("http://localhost:1",) * 1}}
    assert given_config(routes, {}).routes == load(path, {}).routes
    assert given_config(in_tuples, {}).routes["/a"].targets[0].port == 1


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(unbuffered.ConfigError) as raised:
        unbuffered.Proxy(
            {
                "a": {"target": None},
                7: "http://localhost:1",  # type: ignore[dict-item]
                "/b": {"target": "http://a", "idle_timeout_seconds": object()},
                "/c": {"target": "http://a", "headers": {"request": {3: 4}}},
            },
            port=-4,
            server={"workers": 3, "prt": 1},
            sever={},
        )
    assert raised.value.faults == [
        "Proxy: [routes]: expected a string as a key, got the integer 7",
        'Proxy: [routes."/c".headers.request]: expected a string as a key, got the '
        "integer 3",
        "Proxy: [server] workers: a Proxy runs in the process that starts it: leave "
        "workers out, or run unbuffered serve --workers",
        "Proxy: [sever]: unknown table: did you mean server?",
        "Proxy: [server] prt: unknown key: did you mean port?",
        "Proxy: [server] port: expected an integer from 0 to 65535, got the integer -4",
        'Proxy: [routes."a"] prefix: expected a path that begins with "/", not a '
        'pattern: write "/a"',
        'Proxy: [routes."a"] target: expected a string, got None',
        'Proxy: [routes."/b"] idle_timeout_seconds: expected a finite number of 0 or '
        "more, got an object of type object",
    ]


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(None, id="nothing"),
        pytest.param("http://localhost:1", id="an address alone"),
        pytest.param([("/", "http://localhost:1")], id="pairs"),
        pytest.param({}, id="none"),
        pytest.param({"/": b"http://localhost:1"}, id="bytes"),
        pytest.param({"/": 80}, id="a port"),
    ],
)
def test_what_is_not_a_mapping_of_routes_is_a_fault(routes: object) -> None:
    with pytest.raises(unbuffered.ConfigError) as raised:
        unbuffered.Proxy(routes)  # type: ignore[arg-type]
    (fault,) = raised.value.faults
    assert fault.startswith("Proxy: ")


@pytest.mark.parametrize("table", ["server", "log", "defaults", "store", "inspector"])
def test_a_table_that_is_not_a_mapping_is_a_fault(table: str) -> None:
    with pytest.raises(unbuffered.ConfigError, match="expected a table"):
        unbuffered.Proxy({"/": "http://localhost:1"}, **{table: 5})  # type: ignore[arg-type]


async def test_a_port_in_use_is_a_fault_of_the_configuration(
    upstream: Upstream,
) -> None:
    proxy = unbuffered.Proxy({"/": "http://localhost:1"}, port=upstream.port)
    with pytest.raises(unbuffered.ConfigError, match=f":{upstream.port}: this process"):
        async with proxy:
            pass
    assert not proxy.running
    with ClosedPort() as closed, pytest.raises(RuntimeError, match="not been started"):
        unbuffered.Proxy({"/": closed.url}).port  # noqa: B018


async def test_the_file_of_a_deployment_serves_a_test(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One process, an own port, and no access log that nobody asked for."""
    path = tmp_path / "config.toml"
    tables = {"server": {"workers": 4, "port": 8080, "host": "0.0.0.0"}}
    path.write_text(document({"/": {"target": upstream.url}}, tables), "utf-8")
    async with unbuffered.Proxy.from_file(path, port=0) as proxy:
        assert proxy.port != 8080
        assert proxy.url == f"http://127.0.0.1:{proxy.port}"
        await end(*await begin(proxy, upstream))
    assert capfd.readouterr() == ("", "")


async def test_the_access_log_is_written_if_it_is_asked_for(
    upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    async with unbuffered.Proxy({"/": upstream.url}, log={"access": True}) as proxy:
        await end(*await begin(proxy, upstream))
        await proxy.wait_ended()
    assert '"GET /x HTTP/1.1" 200 9 B' in capfd.readouterr().out


@pytest.mark.parametrize(
    ("host", "shown"),
    [("::1", "[::1]"), ("::", "[::1]"), ("localhost", "localhost")],
)
async def test_the_url_is_one_that_works_here(host: str, shown: str) -> None:
    async with unbuffered.Proxy({"/": "http://localhost:1"}, host=host) as proxy:
        assert proxy.url == f"http://{shown}:{proxy.port}"
        await client_of(proxy, shown.strip("[]"))


async def test_the_inspector_answers_and_its_address_has_the_token(
    upstream: Upstream,
) -> None:
    inspector = {"token": "auto"}
    async with unbuffered.Proxy({"/": upstream.url}, inspector=inspector) as proxy:
        client = await client_of(proxy)
        target = proxy.inspector_url.removeprefix(proxy.url)
        assert "?token=" in target
        line = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
        await client.send(f"{line}Sec-Fetch-Mode: navigate\r\n\r\n".encode())
        assert b" 303 " in await client.read_head()  # to the page, with the cookie


def is_listened_on(port: int, host: str = "127.0.0.1") -> bool:
    """Does anything accept there? Asked by a socket that would listen, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen()
        except OSError:
            return True
        return False


async def cancelled_after(turns: int, coroutine: Coroutine[object, object, T]) -> bool:
    """Cancel after so many turns of the loop; was it still under way?"""
    task = asyncio.ensure_future(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::"])
async def test_a_start_that_is_cancelled_listens_nowhere(
    host: str, complaints: Complaints
) -> None:
    with ClosedPort() as closed:
        port = closed.port
    proxy = unbuffered.Proxy({"/": "http://127.0.0.1:1"}, host=host, port=port)
    turns = 0
    while await cancelled_after(turns, proxy.__aenter__()):
        assert not proxy.running
        assert not is_listened_on(port), turns
        turns += 1
    async with proxy_at(proxy):
        assert is_listened_on(port)
    assert turns > 1
    assert not is_listened_on(port)


@contextlib.asynccontextmanager
async def proxy_at(proxy: unbuffered.Proxy) -> AsyncIterator[None]:
    """Until the end of a proxy that has been started."""
    try:
        yield
    finally:
        await proxy.__aexit__(None, None, None)


async def test_a_reload_that_is_cancelled_listens_where_it_did_or_at_the_new_place(
    tmp_path: Path, complaints: Complaints
) -> None:
    path = tmp_path / "config.toml"
    routes = {"/": {"target": "http://127.0.0.1:1"}}
    path.write_text(document(routes, {"server": {"port": 0}}), "utf-8")
    async with unbuffered.Proxy.from_file(path) as proxy:
        before, turns = proxy.port, 0
        with ClosedPort() as closed:
            other = closed.port
        path.write_text(document(routes, {"server": {"port": other}}), "utf-8")
        while await cancelled_after(turns, proxy._reload(None)):
            listened = is_listened_on(before), is_listened_on(other)
            assert listened in ((True, False), (False, True)), turns
            turns += 1
        assert turns > 1
    assert not is_listened_on(before)
    assert not is_listened_on(other)


@pytest.mark.parametrize("count", ["x", -1, None, 1.5])
async def test_a_wrong_number_of_exchanges_is_refused(count: int) -> None:
    async with unbuffered.Proxy({"/": "http://127.0.0.1:1"}) as proxy:
        with pytest.raises(ValueError, match="wait_ended: expected a number of exch"):
            proxy.wait_ended(count)


@pytest.mark.parametrize("seconds", [-1, "1", float("nan")])
async def test_a_wrong_time_to_drain_is_refused(seconds: float) -> None:
    async with unbuffered.Proxy({"/": "http://127.0.0.1:1"}) as proxy:
        with pytest.raises(ValueError, match="drain: expected seconds, 0 or more"):
            proxy.drain(seconds)
        with pytest.raises(ValueError, match="stop: expected seconds, 0 or more"):
            proxy.stop(seconds)
        assert proxy.running
