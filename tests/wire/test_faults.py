"""Live faults: the client sees what the proxy makes of an upstream that has them."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import cast

import pytest
from msgspec.structs import replace

from proxy.config.fault_options import Fault
from proxy.exchange.early_response import EarlyResponse
from proxy.exchange.exchange import Exchange
from proxy.exchange.fault_tap import FaultTap
from proxy.exchange.forward import Forward
from proxy.exchange.tapped_call import TappedCall
from proxy.policy.fault_steps import Drip
from proxy.timeline import Ending
from tests.conftest import Complaints, InternalErrorLog, ManualClock, StartProxy
from tests.support.flood import BOUND, drained, fill
from tests.support.http2 import Http2Listener
from tests.support.kept import EVENT_HEAD, ask, field, post, read_chunks
from tests.support.memory import unchunked
from tests.support.messages import CHUNKED, OK
from tests.support.raw import Upstream, became, chunk, idle
from tests.support.running import RunningProxy

ALLOWED = {"allow_faults": True}
EVENTS = EVENT_HEAD % b""
ONE, TWO, THREE = (b"data: %d\n\n" % number for number in (1, 2, 3))
ALL = chunk(ONE) + chunk(TWO) + chunk(THREE)
END = chunk(b"")
KIB = 1024
LONG = 86400  # seconds: no timer of a test rings by itself
LENGTH = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 27\r\n\r\n"
)


async def broken(
    proxy: StartProxy,
    upstream: Upstream,
    *faults: dict[str, object],
    clock: ManualClock | None = None,
    server: dict[str, object] | None = None,
    **options: object,
) -> RunningProxy:
    """A proxy with these faults on its only route."""
    route = {"target": upstream.url, "fault": list(faults), **options}
    tables = {"server": ALLOWED | (server or {})}
    if clock is not None:
        return await proxy({"/": route}, clock=clock, **tables)
    return await proxy({"/": route}, **tables)


def tap_of(exchange: Exchange) -> FaultTap:
    """What plays the faults of an exchange."""
    call = cast("TappedCall", cast("Forward", exchange.source).call)
    return cast("FaultTap", call.tap)


def waits(exchange: Exchange) -> bool:
    return tap_of(exchange).timer is not None


def ring(playing: Exchange | FaultTap) -> None:
    """The time of a wait is over."""
    tap = playing if isinstance(playing, FaultTap) else tap_of(playing)
    assert tap.timer is not None
    tap.timer.cancel()
    tap.rang()


def read(data: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether it is complete."""
    content, complete, _, rest = unchunked(data)
    assert rest == b""
    return content, complete


CUTS = [
    pytest.param({"kind": "fin"}, b"", id="fin before the first"),
    pytest.param({"kind": "fin", "after": 2}, ONE + TWO, id="fin"),
    pytest.param({"kind": "reset", "after": 2}, ONE + TWO, id="reset"),
    pytest.param(
        {"kind": "fin", "after": 2, "inside": True}, ONE + b"data", id="inside"
    ),
]


@pytest.mark.parametrize("split", [1, 5, 1000])
@pytest.mark.parametrize(("fault", "expected"), CUTS)
async def test_a_cut_is_at_its_event_however_the_bytes_come(
    proxy: StartProxy,
    upstream: Upstream,
    fault: dict[str, object],
    expected: bytes,
    split: int,
) -> None:
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS)
    body = ONE + TWO + THREE
    for at in range(0, len(body), split):
        server.writer.write(chunk(body[at : at + split]))
    await client.read_head()
    rest, _ = await client.read_to_close()
    assert read(rest) == (expected, False)
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert "(a fault of this route)" in str(timeline.error)
    await server.read_rest()  # the upstream is let go of


@pytest.mark.parametrize("kind", ["fin", "reset"])
async def test_how_the_upstream_closed_is_told(
    proxy: StartProxy, upstream: Upstream, kind: str
) -> None:
    running = await broken(proxy, upstream, {"kind": kind, "after": 1})
    client, server = await running.begin(upstream, ask())
    await server.send(LENGTH + ONE + TWO + THREE)
    await client.read_rest()
    how = "closed" if kind == "fin" else "reset the connection"
    assert str((await running.ended()).error) == (
        f"the upstream {how} early: 18 bytes of Content-Length are missing "
        "(a fault of this route)"
    )


async def test_a_body_that_ends_by_a_close_ends_well_by_one(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "fin", "after": 1})
    client, server = await running.begin(upstream, ask())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    await server.send(head + ONE + TWO)
    await client.read_head()
    assert await client.read_body() == ONE
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("kind", ["fin", "reset", "stall"])
async def test_nothing_breaks_behind_all_of_a_length(
    proxy: StartProxy, upstream: Upstream, kind: str
) -> None:
    running = await broken(proxy, upstream, {"kind": kind, "after": 3})
    client, server = await running.begin(upstream, ask())
    await server.send(LENGTH + ONE + TWO + THREE)
    await client.read_head()
    assert await client.read(27) == ONE + TWO + THREE
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("head", [EVENTS, LENGTH], ids=["chunked", "length"])
async def test_a_clean_end_is_complete_for_the_client(
    proxy: StartProxy, upstream: Upstream, head: bytes
) -> None:
    fault = {"kind": "clean_end", "after": 2, "inside": True}
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    await server.send(head + (ALL if head is EVENTS else ONE + TWO + THREE))
    assert b"Content-Length" not in await client.read_head()
    assert await client.read_body() == ONE + b"data"
    assert (await running.ended()).ending is Ending.COMPLETE
    await server.read_rest()  # it has more, so its connection serves nobody else


async def test_a_missing_end_is_told_of_as_truncated(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "no_terminal"})
    client, server = await running.begin(upstream, post(b"/", b"{}"))
    part = b'data: {"object":"chat.completion.chunk","choices":[{"index":0}]}\n\n'
    await server.send(EVENTS + chunk(part) + chunk(b"data: [DONE]\n\n") + END)
    await client.read_head()
    assert await client.read_body() == part
    timeline = await running.ended()
    assert (timeline.ending, timeline.call.verdict) == (Ending.COMPLETE, "truncated")


async def test_an_error_event_comes_from_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "error_event", "after": 1})
    body = b'{"jsonrpc":"2.0","id":7,"method":"tools/call"}'
    accept = "application/json, text/event-stream"
    client, server = await running.begin(upstream, post(b"/", body, Accept=accept))
    await server.read(len(body))
    first = b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
    await server.send(EVENTS + chunk(first))
    await client.read_head()
    assert await client.read_chunk() == first
    told = await client.read_chunk()
    error = json.loads(told.partition(b"data: ")[2])
    assert (error["id"], error["error"]["message"]) == (7, "fault: error_event")
    assert await client.read_chunk() == b""
    assert (await running.ended()).call.verdict == "error"


async def test_an_event_comes_twice(proxy: StartProxy, upstream: Upstream) -> None:
    running = await broken(proxy, upstream, {"kind": "duplicate", "after": 2})
    client, server = await running.begin(upstream, ask())
    await server.send(LENGTH + ONE + TWO + THREE)
    await client.read_head()
    assert await client.read_body() == ONE + TWO + TWO + THREE
    await running.ended()
    assert running.idle_connections == 1  # all of it was read


async def test_trailers_come_behind_what_is_whole(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "duplicate", "after": 1})
    client, server = await running.begin(upstream, ask(TE="trailers"))
    await server.send(EVENTS + chunk(ONE) + b"0\r\nX-A: b\r\n\r\n")
    await client.read_head()
    rest = await client.read_until(b"0\r\nX-A: b\r\n\r\n")
    assert rest.startswith(chunk(ONE) + chunk(ONE))


# -- waits


async def test_a_stall_lasts_until_a_time_limit(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await broken(
        proxy,
        upstream,
        {"kind": "stall", "after": 1},
        clock=clock,
        idle_timeout_seconds=30,
    )
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL + END)
    await client.read_head()
    assert await client.read_chunk() == ONE
    await idle()
    clock.advance(29)
    running.tick()
    assert running.server.exchanges
    clock.advance(2)
    running.tick()
    rest, _ = await client.read_to_close()
    assert rest == b""
    assert (await running.ended()).ending is Ending.TIMED_OUT


async def test_a_stall_for_a_time_goes_on(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "stall", "after": 2, "inside": True, "seconds": LONG}
    running = await broken(proxy, upstream, fault, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL + END)
    await client.read_head()
    assert await client.read_payload(len(ONE) + 4) == ONE + b"data"
    exchange = await running.exchange()
    await became(lambda: waits(exchange))
    await idle()
    ring(exchange)
    assert await client.read_body() == b": 2\n\n" + THREE
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_drip_comes_in_lock_step(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "drip", "size": 3, "seconds": LONG}
    running = await broken(proxy, upstream, fault, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    await client.read_head()
    exchange = await running.exchange()
    for part in (b"dat", b"a: ", b"1\n\n"):
        assert await client.read_chunk() == part
        await became(lambda: waits(exchange))
        ring(exchange)
    await server.send(END)
    assert await client.read_chunk() == b""


async def test_a_split_and_what_is_put_together_arrive_so(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "split", "seconds": LONG}
    running = await broken(proxy, upstream, fault, clock=clock)
    client, server = await running.begin(upstream, ask())
    event = "data: é\r\n\r\n".encode()
    await server.send(EVENTS + chunk(event))
    await client.read_head()
    exchange = await running.exchange()
    for part in (b"data: \xc3", b"\xa9\r", b"\n\r\n"):
        assert await client.read_chunk() == part
        if not part.startswith(b"\n"):
            await became(lambda: waits(exchange))
            ring(exchange)
    await server.send(END)
    assert await client.read_chunk() == b""


async def test_pieces_are_put_together(proxy: StartProxy, upstream: Upstream) -> None:
    running = await broken(proxy, upstream, {"kind": "coalesce", "size": 18})
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS)
    await client.read_head()
    await server.send(chunk(ONE))
    await idle()
    await server.send(chunk(TWO))
    assert await client.read_chunk() == ONE + TWO
    await server.send(chunk(THREE) + END)
    assert await client.read_chunk() == THREE
    assert await client.read_chunk() == b""


async def test_compressed_events_are_decoded_as_they_come_and_they_come_late(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "compress"})
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE) + chunk(TWO))
    assert b"Content-Encoding" not in await client.read_head()
    await idle()
    await server.send(chunk(THREE) + END)
    assert await client.read_body() == ONE + TWO + THREE
    assert (await running.ended()).call.coded == ("gzip",)


async def test_they_stay_compressed_where_nothing_is_decoded(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "compress"}, decode="never")
    client, server = await running.begin(upstream, ask())
    await server.send(LENGTH + ONE + TWO + THREE)
    assert b"Content-Encoding: gzip" in await client.read_head()
    assert gzip.decompress(await client.read_body()) == ONE + TWO + THREE


# -- the head


async def test_a_late_head_is_late(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "late_head", "seconds": LONG}
    running = await broken(proxy, upstream, fault, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + EVENTS + ALL + END)
    assert b" 103 " in await client.read_head()
    exchange = await running.waiting_for("response head")
    await became(lambda: waits(exchange))
    await idle()
    assert exchange.timeline.status == 0
    clock.advance(7)
    ring(exchange)
    await client.read_head()
    assert await client.read_body() == ONE + TWO + THREE
    timeline = await running.ended()
    assert timeline.call.head_received == clock.now
    assert running.idle_connections == 1


async def test_a_late_head_has_a_time_limit(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await broken(
        proxy,
        upstream,
        {"kind": "late_head", "seconds": LONG},
        clock=clock,
        first_byte_timeout_seconds=10,
    )
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    exchange = await running.exchange()
    await became(lambda: waits(exchange))
    clock.advance(11)
    running.tick()
    assert b" 504 " in await client.read_head()
    await server.read_rest()


async def test_an_upstream_that_breaks_meanwhile_breaks_behind_its_head(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "late_head", "seconds": LONG}
    running = await broken(proxy, upstream, fault, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    server.close()
    exchange = await running.exchange()
    await became(lambda: waits(exchange))
    await idle()
    ring(exchange)
    await client.read_head()
    rest, _ = await client.read_to_close()
    assert read(rest) == (ONE, False)
    assert "fault" not in str((await running.ended()).error)


async def test_a_status_comes_in_place_of_the_response(
    proxy: StartProxy, upstream: Upstream
) -> None:
    fault = {"kind": "status", "status": 503, "times": 1}
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    assert (await client.read_head()).startswith(b"HTTP/1.1 503 Service Unavailable")
    size = int(field(client.head, b"content-length") or b"")
    assert json.loads(await client.read(size))["error"]["code"] == "fault"
    await running.ended()
    await server.read_rest()
    await client.send(ask())  # only once
    server = await upstream.request()
    await server.send(EVENTS + chunk(ONE) + END)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert await client.read_body() == ONE


@pytest.mark.parametrize(
    "response",
    [b"HTTP/1.1 204 No Content\r\n\r\n", OK.replace(b"2\r\n\r\nok", b"0\r\n\r\n")],
)
async def test_a_status_has_a_body_where_the_response_had_none(
    proxy: StartProxy, upstream: Upstream, response: bytes
) -> None:
    running = await broken(proxy, upstream, {"kind": "status"})
    client, server = await running.begin(upstream, ask())
    await server.send(response)
    assert b" 500 " in await client.read_head()
    size = int(field(client.head, b"content-length") or b"")
    assert b"fault: status 500" in await client.read(size)


@pytest.mark.parametrize(
    ("size", "complete"), [(9, True), (30, False)], ids=["less", "more"]
)
async def test_a_wrong_length_ends_too_early_or_never_well(
    proxy: StartProxy, upstream: Upstream, size: int, complete: bool
) -> None:
    running = await broken(proxy, upstream, {"kind": "wrong_length", "size": size})
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL + END)
    await client.read_head()
    assert field(client.head, b"content-length") == b"%d" % size
    body = (ONE + TWO + THREE)[:size]
    assert await client.read(len(body)) == body
    timeline = await running.ended()
    ending = Ending.COMPLETE if complete else Ending.UPSTREAM_BROKE
    assert timeline.ending is ending
    if not complete:
        assert "3 bytes of Content-Length are missing" in str(timeline.error)


@pytest.mark.parametrize(
    ("request_head", "response"),
    [
        pytest.param(ask().replace(b"GET", b"HEAD"), LENGTH, id="HEAD"),
        pytest.param(ask(), b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(ask(), b"HTTP/1.1 304 Not Modified\r\n\r\n", id="304"),
    ],
)
async def test_a_response_without_a_body_is_left_alone(
    proxy: StartProxy, upstream: Upstream, request_head: bytes, response: bytes
) -> None:
    running = await broken(
        proxy, upstream, {"kind": "fin"}, {"kind": "wrong_length", "size": 3}
    )
    client, server = await running.begin(upstream, request_head)
    await server.send(response)
    await client.read_head()
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_a_malformed_head_is_one_all_the_same(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "fin"})
    client, server = await running.begin(upstream, ask())
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n")
    assert b" 502 " in await client.read_head()


# -- other bodies, other ways

AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\n\r\n"
)
UPGRADE = ask(Connection="Upgrade", Upgrade="websocket")


@pytest.mark.parametrize("kind", ["fin", "reset", "clean_end"])
async def test_a_websocket_breaks_between_its_messages(
    proxy: StartProxy, upstream: Upstream, kind: str
) -> None:
    running = await broken(proxy, upstream, {"kind": kind, "after": 2}, ws=True)
    client, server = await running.begin(upstream, UPGRADE)
    await server.send(AGREE)
    await client.read_head()
    await server.send(b"\x81\x01a\x81")
    assert await client.read(4) == b"\x81\x01a\x81"
    await server.send(b"\x01b\x81\x01c")
    assert (await client.read_to_close())[0] == b"\x01b"
    if kind != "reset":  # the other way is open until the client closes
        await client.send(b"\x88\x80\0\0\0\0")
        assert await server.read(6) == b"\x88\x80\0\0\0\0"
        await server.send(b"\x88\x00")  # which the client does not get
        client.close()
    await server.read_rest()
    server.close()
    await running.ended()


async def test_an_upgrade_may_fail(proxy: StartProxy, upstream: Upstream) -> None:
    fault = {"kind": "status", "status": 503}
    running = await broken(proxy, upstream, fault, ws=True)
    client, server = await running.begin(upstream, UPGRADE)
    await server.send(AGREE + b"\x81\x01a")
    assert b" 503 " in await client.read_head()
    assert (await running.ended()).ending is Ending.COMPLETE
    await server.read_rest()


async def test_a_tunnel_begins_late_and_drips(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    faults = [
        {"kind": "late_head", "seconds": LONG},
        {"kind": "drip", "size": 2, "seconds": LONG},
    ]
    running = await broken(proxy, upstream, *faults, clock=clock, ws=True)
    client, server = await running.begin(upstream, UPGRADE)
    await server.send(AGREE + b"\x81\x01a")
    exchange = await running.exchange()
    await became(lambda: waits(exchange))
    ring(exchange)
    assert b" 101 " in await client.read_head()
    assert await client.read(2) == b"\x81\x01"
    await became(lambda: waits(exchange))
    ring(exchange)
    assert await client.read(1) == b"a"
    await client.send(b"back")
    assert await server.read(4) == b"back"
    client.close()
    await server.closed()
    server.close()
    await running.ended()


async def test_other_bodies_break_between_pieces(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "fin", "after": 1})
    client, server = await running.begin(upstream, ask())
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    await client.read_head()
    assert await client.read_rest() == b"ab"


async def test_by_http2_a_cut_resets_the_stream(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    fault = {"kind": "fin", "after": 1}
    running = await broken(proxy, upstream, fault, server=over.server)
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(EVENTS + ALL)
    await http.head(number)
    assert await http.read(number, len(ONE)) == ONE
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_failure_is_told_as_of_any_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    fault = {"kind": "fin", "after": 1}
    running = await broken(proxy, upstream, fault, on_upstream_failure="event")
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL)
    await client.read_head()
    assert await client.read_chunk() == ONE
    assert (await client.read_chunk()).startswith(b"event: error\n")
    assert await client.read_chunk() == b""


async def test_a_kept_stream_is_resumed_from_an_upstream_with_faults(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    fault = {"kind": "fin", "after": 1, "times": 1}
    running = await broken(proxy, upstream, fault, clock=clock, resume=True)
    client, server = await running.begin(upstream, ask())
    first, second = (b"id: %d\ndata: x\n\n" % number for number in (1, 2))
    await server.send(EVENTS + chunk(first) + chunk(second))
    await client.read_head()
    assert await read_chunks(client, len(first)) == first
    again = await upstream.request()
    assert field(again.head, b"last-event-id") == b"1"
    await again.send(EVENTS + chunk(second) + END)
    assert await read_chunks(client, len(second)) == second
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_response_that_begins_early_waits_for_a_late_head(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    faults = [{"kind": "late_head", "seconds": LONG}, {"kind": "fin", "after": 1}]
    running = await broken(
        proxy,
        upstream,
        *faults,
        clock=clock,
        heartbeat_seconds=15,
        heartbeat_before_head=True,
    )
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL)
    exchange = await running.exchange()
    early = cast("EarlyResponse", exchange.source)
    tap = cast("FaultTap", cast("TappedCall", early.call).tap)
    await became(lambda: tap.timer is not None)
    clock.advance(15)
    early.rang()
    await client.read_head()
    assert await client.read_chunk() == b":\n"
    ring(tap)
    assert await client.read_chunk() == ONE
    await client.closed()


# -- who is slow, who leaves

CASES = [
    {"kind": "late_head", "seconds": LONG},
    {"kind": "stall", "after": 1},
    {"kind": "stall", "after": 1, "seconds": LONG},
    {"kind": "drip", "seconds": LONG},
    {"kind": "split", "seconds": LONG},
    {"kind": "coalesce"},
    {"kind": "compress"},
]


@pytest.mark.parametrize("fault", CASES, ids=lambda fault: str(fault["kind"]))
async def test_a_client_that_leaves_ends_a_wait(
    proxy: StartProxy, upstream: Upstream, fault: dict[str, object]
) -> None:
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    event = "data: é\r\n\r\n".encode()
    await server.send(EVENTS + chunk(event) + chunk(event))
    exchange = await running.exchange()
    tap = tap_of(exchange)
    await became(lambda: tap.started)
    await idle()
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    assert await server.read_rest() == b""
    assert tap.timer is None
    assert not tap.queue


async def test_an_upstream_that_is_read_on_has_its_faults_without_a_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    fault = {"kind": "fin", "after": 2}
    running = await broken(proxy, upstream, fault, on_client_leave="finish")
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    await client.read_head()
    client.close()
    exchange = await running.exchange()
    await became(lambda: exchange.is_finishing)
    await server.send(chunk(TWO))
    finish = (await running.ended()).call.finish
    assert finish is not None
    assert finish.ending is Ending.UPSTREAM_BROKE


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "late_head", "seconds": LONG},
        {"kind": "stall", "after": 1},
        {"kind": "stall", "after": 1, "seconds": LONG},
        {"kind": "drip", "seconds": LONG},
    ],
    ids=["late_head", "stall", "stall for a time", "drip"],
)
async def test_while_a_fault_waits_the_upstream_is_not_read(
    proxy: StartProxy, upstream: Upstream, fault: dict[str, object]
) -> None:
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    await server.send(CHUNKED + b"\r\n")
    sent = await fill(server)
    assert sent.size < BOUND
    exchange = await running.exchange()
    assert len(tap_of(exchange).queue) < 4
    client.close()
    await running.ended()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drip", "size": 65536},
        {"kind": "coalesce", "size": 100_000},
        {"kind": "duplicate", "after": 1_000_000_000},
        {"kind": "compress"},
    ],
    ids=lambda fault: str(fault["kind"]),
)
async def test_a_slow_client_slows_an_upstream_with_faults(
    proxy: StartProxy, upstream: Upstream, fault: dict[str, object]
) -> None:
    running = await broken(proxy, upstream, fault, max_decoding_ratio=0)
    client, server = await running.begin(upstream, ask())
    await server.send(CHUNKED + b"\r\n")
    if fault["kind"] == "compress":
        await client.read_head()
        noise = [bytes([number % 251]) * 65536 for number in range(64)]
        for each in noise:
            server.writer.write(chunk(each))
        server.writer.write(END)
        assert await client.read_body() == b"".join(noise)
        return
    sent = await fill(server)
    server.writer.write(END)
    await client.read_head()
    assert await drained(client) == sent
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_what_waits_stays_bounded_however_often_a_client_is_slow(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Each time that it has read on, no more is read of the upstream than there is."""
    running = await broken(proxy, upstream, {"kind": "drip", "size": 16 * KIB})
    client, server = await running.begin(upstream, ask())
    await server.send(CHUNKED + b"\r\n")
    sent = 0

    async def flood() -> None:
        nonlocal sent
        for _ in range(128):
            server.writer.write(chunk(bytes(64 * KIB)))
            await server.writer.drain()
            sent += 64 * KIB
        server.writer.write(END)

    flooding = asyncio.ensure_future(flood())
    await client.read_head()
    exchange = await running.exchange()
    queue, most = tap_of(exchange).queue, 0
    while await client.read_chunk():
        waiting = [step.data for step in queue.steps if isinstance(step, Drip)]
        most = max(most, sum(map(len, waiting)))
    await flooding
    assert sent == 8 * KIB * KIB
    assert 0 < most <= KIB * KIB


async def test_many_steps_leave_turns_to_others(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "coalesce", "size": 16})
    client, server = await running.begin(upstream, ask())
    body = bytes(range(256)) * 200
    await server.send(CHUNKED + b"\r\n" + chunk(body) + END)
    await client.read_head()
    assert await client.read_body() == body


async def test_a_fault_of_ours_ends_the_exchange(
    proxy: StartProxy,
    upstream: Upstream,
    internal_errors: InternalErrorLog,
    complaints: Complaints,
) -> None:
    fault = {"kind": "stall", "after": 1, "seconds": LONG}
    running = await broken(proxy, upstream, fault)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL)
    await client.read_head()
    exchange = await running.exchange()
    await became(lambda: waits(exchange))
    tap = tap_of(exchange)
    tap.given, tap.made = False, None
    ring(exchange)
    await client.read_to_close()
    [told] = internal_errors.told
    assert "playing a fault" in told
    complaints.heard.clear()
    assert (await running.ended()).ending is Ending.INTERNAL_ERROR


# -- reload, drain


async def test_a_reload_leaves_running_exchanges_their_faults(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await broken(proxy, upstream, {"kind": "fin", "after": 2})
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + chunk(ONE))
    await client.read_head()
    assert await client.read_chunk() == ONE
    config = running.server.config
    plain = {"/": replace(config.routes["/"], fault=())}
    await running.server.reload(replace(config, routes=plain))
    await server.send(chunk(TWO) + chunk(THREE))
    rest, _ = await client.read_to_close()
    assert read(rest) == (TWO, False)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENTS + ALL + END)
    await client.read_head()
    assert await client.read_body() == ONE + TWO + THREE


async def test_a_reload_goes_on_counting_unless_the_faults_change(
    proxy: StartProxy, upstream: Upstream
) -> None:
    fault = {"kind": "status", "times": 1}
    running = await broken(proxy, upstream, fault, upstream_keepalive_seconds=0)

    async def status() -> bytes:
        client, server = await running.begin(upstream, ask())
        await server.send(OK)
        head = await client.read_head()
        client.close()
        await running.ended()
        return head[9:12]

    assert await status() == b"500"
    config = running.server.config
    await running.server.reload(config)
    assert await status() == b"200"
    other = (Fault(kind="status", times=1, status=502),)
    await running.server.reload(
        replace(config, routes={"/": replace(config.routes["/"], fault=other)})
    )
    assert await status() == b"502"
    seed = replace(config.server, fault_seed=3)
    await running.server.reload(replace(config, server=seed))
    assert await status() == b"500"


async def test_a_drain_ends_what_stalls(proxy: StartProxy, upstream: Upstream) -> None:
    running = await broken(proxy, upstream, {"kind": "stall", "after": 1})
    client, server = await running.begin(upstream, post(b"/", b"{}"))
    await server.send(EVENTS + ALL)
    await client.read_head()
    assert await client.read_chunk() == ONE
    stopping = asyncio.ensure_future(running.server.stop(0))
    await client.read_to_close()
    assert await stopping == 1
