"""The doctor over real sockets: what it records, and what its command says."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from proxy.cli import parser
from proxy.doctor.measuring.asking import Ask, complete
from proxy.doctor.measuring.command import examine, plan_of
from proxy.doctor.measuring.fetch import Limits, Response, fetch
from proxy.doctor.measuring.origin import Origin
from proxy.doctor.units import units_of
from tests.conftest import StartProxy
from tests.support.ports import ClosedPort
from tests.support.raw import Peer, Upstream, chunk, connect
from tests.unit.doctor.recordings import sent

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A test origin; its URL."""
    server = Origin()
    port = await server.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await server.stop()


async def doctor(*words: str) -> int:
    """`unbuffered doctor`, in this loop."""
    options = parser().parse_args(["doctor", *words])
    return await examine(plan_of(options), options)


async def test_every_read_is_stamped_when_it_comes(upstream: Upstream) -> None:
    """In lock-step: the next piece is sent once the one before was stamped."""
    seen = asyncio.Queue[int]()

    def watch(response: Response) -> bool:
        seen.put_nowait(len(response.arrivals))
        return False

    async def serve() -> Peer:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(CHUNKED)
        assert await seen.get() == 0
        for number in range(1, 4):
            await peer.send(chunk(b"data: x\n\n"))
            assert await seen.get() == number
        await peer.send(chunk(b""))
        return peer

    recording, _ = await asyncio.gather(
        fetch(Ask(upstream.url), Limits(5.0), watch), serve()
    )
    assert recording.ending == "complete"
    assert [each.size for each in recording.arrivals] == [9, 9, 9]
    times = [recording.head or 0.0, *(each.at for each in recording.arrivals)]
    assert times == sorted(times)


async def answered(upstream: Upstream, answer: bytes, *, reset: bool = False) -> Peer:
    peer = await upstream.connection()
    await peer.read_head()
    await peer.send(answer)
    if reset:
        peer.reset()
    else:
        peer.close()
    return peer


@pytest.mark.parametrize(
    ("answer", "ending", "fault"),
    [
        pytest.param(HEAD + b"Content-Length: 4\r\n\r\nabcd", "complete", "",
                     id="length"),
        pytest.param(HEAD + b"\r\nabcd", "complete", "", id="until close"),
        pytest.param(CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n", "complete", "", id="chunked"),
        pytest.param(
            b"HTTP/1.1 103 Hints\r\n\r\n" + HEAD + b"Content-Length: 4\r\n\r\nabcd",
            "complete", "", id="interim",
        ),
        pytest.param(CHUNKED + b"4\r\nabcd\r\n", "cut", "last chunk", id="cut"),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\nabcd", "cut", "5 bytes",
                     id="short"),
        pytest.param(CHUNKED + b"4\r\nabcd\r\nzz\r\n", "cut", "chunk-size",
                     id="broken"),
        pytest.param(b"hello", "no answer", "was closed before", id="no http"),
        pytest.param(b"HTTP/9\r\n\r\n", "no answer", "status line", id="not ours"),
    ],
)  # fmt: skip
async def test_how_a_response_ended(
    upstream: Upstream, answer: bytes, ending: str, fault: str
) -> None:
    recording, _ = await asyncio.gather(
        fetch(Ask(upstream.url), Limits(5.0)), answered(upstream, answer)
    )
    assert (recording.ending, fault in recording.fault) == (ending, True)
    assert recording.content in (b"abcd", b"")


async def test_a_content_coding_is_taken_off_piece_by_piece(upstream: Upstream) -> None:
    body = gzip.compress(b"data: x\n\n")
    head = HEAD + b"Content-Encoding: gzip\r\n\r\n"
    recording, _ = await asyncio.gather(
        fetch(Ask(upstream.url), Limits(5.0)), answered(upstream, head + body)
    )
    assert recording.content == b"data: x\n\n"
    assert recording.size == len(body)


async def test_a_redirection_to_the_same_host_is_followed_and_noted(
    upstream: Upstream,
) -> None:
    async def serve() -> None:
        away = b"HTTP/1.1 307 Go\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
        await answered(upstream, away)
        peer = await upstream.connection()
        assert (await peer.read_head()).startswith(b"GET /b ")
        await peer.send(HEAD + b"Content-Length: 1\r\n\r\nx")

    recording, _ = await asyncio.gather(
        fetch(Ask(f"{upstream.url}/a"), Limits(5.0)), serve()
    )
    assert [(each.status, each.location) for each in recording.redirects] == [
        (307, "/b")
    ]


async def test_a_redirection_elsewhere_is_left_to_the_person(
    upstream: Upstream,
) -> None:
    away = b"HTTP/1.1 302 Go\r\nLocation: http://else.example/\r\n\r\n"
    recording, _ = await asyncio.gather(
        fetch(Ask(upstream.url), Limits(5.0)), answered(upstream, away)
    )
    assert recording.status == 302


async def test_an_early_stop_keeps_what_was_seen(upstream: Upstream) -> None:
    stop = asyncio.Event()

    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(CHUNKED + chunk(b"data: x\n\n"))

    def watch(response: Response) -> bool:
        if response.arrivals:
            stop.set()
        return False

    recording, _ = await asyncio.gather(
        fetch(Ask(upstream.url), Limits(5.0), watch, stop), serve()
    )
    assert (recording.ending, len(recording.arrivals)) == ("stopped", 1)


async def test_nobody_listens() -> None:
    with ClosedPort() as closed:
        recording = await fetch(Ask(f"http://{closed.address}/"), Limits(5.0))
    assert recording.fault == f"nothing listens at {closed.address}"


# -- the test origin --------------------------------------------------------------


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("kind", ["events", "ndjson", "text", "openai"])
async def test_the_origin_sends_every_event_with_its_mark(
    origin: str, coding: str, kind: str
) -> None:
    url = f"{origin}/any?stream=steady&count=5&every=0&type={kind}&coding={coding}"
    recording = await fetch(complete(Ask(url)), Limits(5.0))
    assert recording.ending == "complete"
    assert [unit.number for unit in units_of(recording) if unit.number] == [
        1, 2, 3, 4, 5
    ]  # fmt: skip


async def test_the_origin_serves_a_post_and_then_another_request(origin: str) -> None:
    peer = await connect(int(origin.rpartition(":")[2]))
    for _ in range(2):
        await peer.send(
            b"POST /x?stream=steady&count=1 HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        assert b"200 OK" in await peer.read_head()
        assert b'"n": 1' in await peer.read_body()
    peer.close()


async def test_the_origin_says_what_there_is_and_what_cannot_be(origin: str) -> None:
    overview = await fetch(Ask(f"{origin}/"), Limits(5.0))
    assert b"/steady" in overview.content
    wrong = await fetch(Ask(f"{origin}/?stream=nope"), Limits(5.0))
    assert wrong.status == 400


# -- the command ------------------------------------------------------------------


async def test_a_stream_through_unbuffered_streams(
    proxy: StartProxy, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running = await proxy({"/sse": {"target": origin}})
    stream = "?stream=steady&count=6&every=0.1"
    status = await doctor(
        "--json",
        "--via",
        f"{running.url}/sse/x{stream}",
        "--via",
        f"{origin}/x{stream}",
    )
    found = json.loads(capsys.readouterr().out)
    assert (status, found["state"]) == (0, "streams")


async def test_a_held_stream_exits_with_1(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, though by their marks they were sent a second apart."""
    held = b"".join(sent(number, 6, number * 1.0) for number in range(1, 7))

    async def serve() -> None:
        peer = await upstream.connection()
        await peer.read_head()
        await peer.send(CHUNKED + chunk(held) + chunk(b""))

    status, _ = await asyncio.gather(doctor(upstream.url, "--compare", "none"), serve())
    assert status == 1
    assert capsys.readouterr().out.startswith("Held to the end: all 6 events")


async def test_what_cannot_be_measured_exits_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ClosedPort() as closed:
        assert await doctor(f"http://{closed.address}/") == 2
    said = capsys.readouterr().out
    assert said == f"Could not measure: nothing listens at {closed.address}.\n"


async def test_a_post_is_not_repeated_unasked(upstream: Upstream) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        assert (await peer.read_head()).startswith(b"POST ")
        assert await peer.read(7) == b'{"a":1}'
        await peer.send(HEAD + b"Content-Length: 0\r\n\r\n")

    status, _ = await asyncio.gather(
        doctor(upstream.url, "-d", '{"a":1}', "-H", "Content-Type: application/json"),
        serve(),
    )
    assert status == 2
    assert upstream.unexpected == 0
