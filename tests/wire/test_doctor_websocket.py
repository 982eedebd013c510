"""The doctor and WebSockets: held, cut, not opened. In lock-step with raw peers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from proxy.cli.main import parser
from proxy.policy.upgrade import accept_value
from proxy.record.websocket_messages import MessageReader, WebSocketMessage, frame
from proxy.tools.doctor.probe.command import examine, plan_of
from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.plan_runner import PAGES
from proxy.tools.doctor.probe.request import Ask, complete
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream
from tests.unit.doctor.recordings import sent

pytestmark = pytest.mark.any_loop

TEXT, CLOSE = 0x1, 0x8
NORMAL = b"\x03\xe8"
OF = 6


def message(payload: bytes, opcode: int = TEXT) -> bytes:
    return frame(WebSocketMessage(opcode, payload), masked=False)


def marked(number: int, at: float) -> bytes:
    """A message as the test origin marks it."""
    return message(sent(number, OF, at).removeprefix(b"data: ").rstrip())


def switching(head: bytes) -> bytes:
    """The answer to a handshake."""
    [key] = [
        line.partition(b": ")[2]
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    ]
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nServer: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept_value(key)
    )


async def opened(upstream: Upstream) -> Peer:
    """A WebSocket that the doctor has opened."""
    peer = await upstream.connection()
    await peer.send(switching(await peer.read_head()))
    return peer


def url_of(upstream: Upstream) -> str:
    return upstream.url.replace("http", "ws", 1)


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A test origin; its URL for WebSockets."""
    server = OriginServer()
    port = await server.start("127.0.0.1", 0)
    yield f"ws://127.0.0.1:{port}"
    await server.stop()


async def doctor(*words: str) -> int:
    """`unbuffered doctor`, in this loop."""
    options = parser().parse_args(["doctor", "--json", "--compare", "none", *words])
    return await examine(plan_of(options), options)


async def judged(
    upstream: Upstream,
    serve: Callable[[], Awaitable[None]],
    capsys: pytest.CaptureFixture[str],
    *words: str,
) -> dict[str, Any]:
    """The report; its exit status as `exit`."""
    status, _ = await asyncio.gather(doctor(url_of(upstream), *words), serve())
    table: dict[str, Any] = json.loads(capsys.readouterr().out)
    return table | {"exit": status}


async def test_every_message_is_stamped_when_it_comes(upstream: Upstream) -> None:
    """The next is sent once the one before was stamped."""
    seen = asyncio.Queue[int]()

    def watch(response: FetchedResponse) -> bool:
        seen.put_nowait(len(response.arrivals))
        return False

    async def serve() -> None:
        peer = await opened(upstream)
        assert await seen.get() == 0
        for number in range(1, 4):
            await peer.send(message(b"hello"))
            assert await seen.get() == number
        await peer.send(message(NORMAL, CLOSE))

    recording, _ = await asyncio.gather(
        fetch(complete(Ask(url_of(upstream))), Limits(5.0), watch), serve()
    )
    assert (recording.ending, recording.status) == ("complete", 101)
    assert [each.data for each in recording.arrivals] == [b"hello\n"] * 3
    assert [each.wire for each in recording.arrivals] == [7, 7, 7]  # its frame


async def test_it_asks_as_a_browser_does(upstream: Upstream) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        head = await peer.read_head()
        lines = head.lower().split(b"\r\n")
        assert b"upgrade: websocket" in lines
        assert b"connection: upgrade" in lines
        assert b"sec-websocket-version: 13" in lines
        assert b"origin: " + upstream.url.encode() in lines
        assert b"accept-encoding" not in head.lower()
        await peer.send(switching(head) + message(NORMAL, CLOSE))

    await asyncio.gather(fetch(complete(Ask(url_of(upstream))), Limits(5.0)), serve())


async def test_messages_are_sent_once_it_is_open(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        peer = await opened(upstream)
        reader = MessageReader()
        found: list[bytes] = []
        while len(found) < 2:
            found += [each.payload for each in reader.read(await peer.read(1))]
        assert found == [b'{"a": 1}', b"two"]
        await peer.send(message(NORMAL, CLOSE))

    table = await judged(upstream, serve, capsys, "-d", '{"a": 1}', "-d", "two")
    assert table["measurements"][0]["ending"] == "complete"


async def test_held_messages_are_found(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, though by their marks they were sent one by one."""

    async def serve() -> None:
        peer = await opened(upstream)
        held = b"".join(marked(number, number * 0.08) for number in range(1, OF + 1))
        await peer.send(held + message(NORMAL, CLOSE))

    table = await judged(upstream, serve, capsys)
    assert (table["exit"], table["kind"]) == (1, "all at the end")
    assert "all 6 messages arrived at once" in table["verdict"]
    [cure] = table["cures"]  # what helps responses does not help a WebSocket
    assert (cure["product"], cure["measured"]) == (None, False)
    assert "send each message when it is there" in cure["lines"]


async def test_a_connection_without_a_close_frame_is_cut(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        peer = await opened(upstream)
        await peer.send(marked(1, 0.0))
        peer.close()

    table = await judged(upstream, serve, capsys)
    assert (table["exit"], table["kind"]) == (1, "cut")
    assert any("no Close frame" in each for each in table["evidence"])
    assert table["cures"] == []  # it broke at once: no ping helps


@pytest.mark.parametrize("status", [b"400 Bad", b"426 Upgrade", b"200 OK"])
async def test_a_handshake_that_is_answered_as_a_plain_request(
    upstream: Upstream, status: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(
            b"HTTP/1.1 %b\r\nServer: nginx\r\nContent-Length: 4\r\n\r\nwhat" % status
        )

    table = await judged(upstream, serve, capsys)
    assert (table["exit"], table["kind"]) == (1, "no upgrade")
    assert not table["certain"]
    assert "proxy_set_header Upgrade $http_upgrade;" in table["cures"][0]["lines"]


@pytest.mark.parametrize(
    ("status", "said"),
    [(b"404 No", "no WebSocket at this path"), (b"401 No", "wants a login"),
     (b"502 No", "it could not reach the server behind it")],
)  # fmt: skip
async def test_a_handshake_that_is_refused(
    upstream: Upstream, status: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)

    table = await judged(upstream, serve, capsys)
    assert table["exit"] == 2
    assert any(said in each for each in table["evidence"]), table["evidence"]


async def test_the_hop_that_loses_the_upgrade_is_named(
    upstream: Upstream, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")

    stream = "?stream=steady&count=3&every=0"
    hop = f"{url_of(upstream)}/live{stream}"
    status, _ = await asyncio.gather(
        doctor("--via", hop, "--via", f"{origin}/live{stream}"), serve()
    )
    table = json.loads(capsys.readouterr().out)
    assert (status, table["kind"], table["holder"]) == (1, "no upgrade", hop)
    assert table["certain"]


async def test_an_answer_to_another_key_is_no_websocket(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache that has kept it, or a server that makes it up."""

    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(switching(b"Sec-WebSocket-Key: another\r\n"))
        await peer.send(message(NORMAL, CLOSE))

    table = await judged(upstream, serve, capsys)
    assert table["exit"] == 2
    assert "does not belong to the key; browsers close it" in table["verdict"]


async def test_messages_through_unbuffered_stream(
    proxy: StartProxy, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = origin.replace("ws", "http", 1)
    running = await proxy({"/live": {"target": target, "ws": True},
                           "/plain": {"target": target}})  # fmt: skip
    stream = "x?stream=steady&count=6&every=0.1"
    url = running.url.replace("http", "ws", 1)
    assert await doctor(f"{url}/plain/{stream}") == 1
    assert "it needs `ws = true` in the route" in capsys.readouterr().out
    assert await doctor(f"{url}/live/{stream}") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["measurements"][0]["events"] == 6
    assert table["measurements"][0]["format"] == "messages"


async def test_the_origin_answers_pings_and_closes(origin: str) -> None:
    recording = await fetch(
        complete(Ask(f"{origin}/x?stream=steady&count=2&every=0")), Limits(5.0)
    )
    assert (recording.ending, recording.fault) == ("complete", "")


async def test_a_dev_server_that_leaves_a_handshake_unanswered_is_known_by_its_page(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        asked = await upstream.connection()
        await asked.read_head()
        for _ in PAGES:  # in any order
            page = await upstream.connection()
            known = (await page.read_head()).startswith(b"GET /@vite/client ")
            status, body = (b"200 OK", b"vite") if known else (b"404 No", b"none")
            await page.send(
                b"HTTP/1.1 %b\r\nContent-Length: 4\r\n\r\n%b" % (status, body)
            )

    table = await judged(upstream, serve, capsys, "--max-time", "0.3")
    assert (table["exit"], table["kind"]) == (1, "no upgrade")
    assert "ws: true" in table["cures"][0]["lines"]
