"""The doctor over real sockets: what it records, and what its command says."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import io
import json
from collections.abc import AsyncIterator

import pytest

from proxy.cli.main import parser
from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.probe.command import examine, plan_of
from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan
from proxy.tools.doctor.probe.request import Ask, AskError, complete
from proxy.tools.doctor.verdict import Kind
from tests.conftest import StartProxy
from tests.support.ports import BlackHole, ClosedPort
from tests.support.raw import Peer, Upstream, chunk, connect
from tests.unit.doctor.recordings import sent

pytestmark = pytest.mark.any_loop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A test origin; its URL."""
    server = OriginServer()
    port = await server.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await server.stop()


async def doctor(*words: str) -> int:
    """`unbuffered doctor`, in this loop."""
    options = parser().parse_args(["doctor", *words])
    return await examine(plan_of(options), options)


@pytest.mark.parametrize("option", ["--max-time", "--silence"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_a_time_that_is_not_one_is_refused(option: str, value: str) -> None:
    options = parser().parse_args(["doctor", "http://a", f"{option}={value}"])
    with pytest.raises(AskError, match="must be seconds greater than 0"):
        plan_of(options)


async def test_every_read_is_stamped_when_it_comes(upstream: Upstream) -> None:
    """In lock-step: the next piece is sent once the one before was stamped."""
    seen = asyncio.Queue[int]()

    def watch(response: FetchedResponse) -> bool:
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
    assert [each.wire for each in recording.arrivals] == [14, 14, 14]  # its chunk
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
        pytest.param(b"hello", "no answer", "not HTTP: 'hello'", id="no http"),
        pytest.param(b"", "no answer",
                     "closed it without a response; should it be https",
                     id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nCont", "no answer",
                     "in the middle of the response",
                     id="half a head"),
        pytest.param(b"\0\0\0\x04\0\0\0\0\0", "no answer", "in HTTP/2", id="HTTP/2"),
        pytest.param(b"\x15\x03\x03\0\x02\x02\x28", "no answer", "in TLS", id="TLS"),
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

    def watch(response: FetchedResponse) -> bool:
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


async def test_no_head_in_time_is_not_the_same_as_no_answer(
    upstream: Upstream,
) -> None:
    async def serve() -> None:
        await (await upstream.connection()).read_head()

    recording, _ = await asyncio.gather(fetch(Ask(upstream.url), Limits(0.2)), serve())
    assert recording.ending == "no head"
    assert recording.connected is not None


async def test_a_stop_is_heard_while_connecting() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    with BlackHole() as hole:
        recording = await fetch(Ask(hole.url), Limits(60, 60), stop=stop)
    assert recording.fault == "stopped before a connection stood"


async def test_https_where_none_is_spoken(upstream: Upstream) -> None:
    async def serve() -> None:
        peer = await upstream.connection()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()

    url = upstream.url.replace("http://", "https://")
    recording, _ = await asyncio.gather(fetch(Ask(url), Limits(5.0)), serve())
    assert recording.fault.endswith("should it be http://?")


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
    """At once, though by their marks they were sent one by one."""
    held = b"".join(sent(number, 6, number * 0.08) for number in range(1, 7))

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


async def test_two_hops_at_one_address_do_not_disturb_each_other(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two paths of one server, one of which is done before the other begins."""

    async def serve() -> None:
        peers = [await upstream.connection() for _ in range(2)]
        heads = [await peer.read_head() for peer in peers]
        gone, stream = peers if heads[0].startswith(b"GET /gone") else peers[::-1]
        await gone.send(b"HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n")
        await gone.read_to_close()
        await stream.send(CHUNKED)
        for number in range(1, 7):
            await stream.send(chunk(sent(number, 6, 0.0)))
        await stream.send(chunk(b""))

    one, two = f"{upstream.url}/gone", f"{upstream.url}/stream"
    status, _ = await asyncio.gather(doctor("--via", one, "--via", two), serve())
    said = capsys.readouterr()
    assert (status, said.err) == (2, "")
    assert f"{one}: Could not measure: the response has status 502" in said.out


async def test_a_chain_that_does_not_end_at_the_port_is_told(
    proxy: StartProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    with ClosedPort() as place:
        port = place.port
    with ClosedPort() as elsewhere:
        running = await proxy({"/sse": {"target": elsewhere.url}})
        chain = f"{running.url}/sse/events"
        assert await doctor("--through", chain, "--port", str(port), "-q") == 2
    said = capsys.readouterr().out
    assert f"reached the test origin at 127.0.0.1:{port}" in said
    assert "status 502" in said


class Full(io.StringIO):
    """A disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_report_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ClosedPort() as closed, contextlib.redirect_stdout(Full()):
        assert await doctor(f"http://{closed.address}/") == 2
    said = "unbuffered: cannot write the report: no space left on device\n"
    assert capsys.readouterr().err == said


async def by_version(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Streams by HTTP/1.1; by HTTP/1.0 it collects, and says how long it is."""
    asked = await reader.readuntil(b"\r\n\r\n")
    older = asked.partition(b"\r\n")[0].endswith(b"HTTP/1.0")
    events = [b"data: row %d\n\n" % number for number in range(6)]
    if not older:
        writer.write(CHUNKED)
    for each in events:
        await asyncio.sleep(0.3)
        if not older:
            writer.write(chunk(each))
    whole = b"".join(events)
    writer.write(
        HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(whole), whole)
        if older
        else chunk(b"")
    )
    writer.close()


@pytest.mark.parametrize("minor", [b"0", b"1"])
async def test_a_hop_that_asks_by_an_older_version_is_told(minor: bytes) -> None:
    """As nginx asks by default. Whether it is held is a matter of time."""
    server = await asyncio.start_server(by_version, "127.0.0.1", 0)
    back = server.sockets[0].getsockname()[1]

    async def forward(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        there, out = await asyncio.open_connection("127.0.0.1", back)
        out.write(head.replace(b"HTTP/1.1\r\n", b"HTTP/1.%b\r\n" % minor, 1))
        while data := await there.read(65536):
            writer.write(data)
        writer.close()
        out.close()

    hop = await asyncio.start_server(forward, "127.0.0.1", 0)
    front = hop.sockets[0].getsockname()[1]
    urls = tuple(f"http://127.0.0.1:{port}/" for port in (front, back))
    async with server, hop:
        runner = PlanRunner(lambda text: None, asyncio.Event())
        result = await runner.hops(ProbePlan(Ask(urls[0]), urls, product="nginx"))
    if minor == b"1":
        assert result.verdict.kind is Kind.STREAMS
        return
    assert result.verdict.kind is Kind.OLD_VERSION
    assert result.status == 1
    assert f"{urls[1]} holds what is asked by HTTP/1.0." in result.verdict.line
    assert result.holder.recording.url == urls[0]
    assert [cure.lines for cure in result.cures] == [
        "proxy_http_version 1.1;\nproxy_buffering off;"
    ]
