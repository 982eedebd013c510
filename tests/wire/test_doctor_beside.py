"""The doctor asks at the same time, and again in turn where that was in the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from proxy.cli.main import parser
from proxy.tools.doctor.probe.command import examine, plan_of
from tests.support.raw import Peer, Upstream, chunk
from tests.unit.doctor.recordings import sent

pytestmark = pytest.mark.any_loop

HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
OF = 6


async def doctor(*words: str) -> int:
    """`unbuffered doctor`, in this loop."""
    options = parser().parse_args(["doctor", "--json", *words])
    return await examine(plan_of(options), options)


async def asked(upstream: Upstream) -> tuple[Peer, str]:
    """The next request; what it accepts."""
    peer = await upstream.connection()
    lines = (await peer.read_head()).decode().splitlines()
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    plain = fields["Accept-Encoding"] == "identity"
    return peer, "plain" if plain else fields["Accept"]


async def two(upstream: Upstream) -> dict[str, Peer]:
    """The next two requests, by what they accept."""
    found = {}
    for _ in range(2):
        peer, accepts = await asked(upstream)
        found[accepts] = peer
    return found


async def held(peer: Peer) -> None:
    """All at once, though by their marks they were sent one by one."""
    events = b"".join(sent(number, OF, number * 0.08) for number in range(1, OF + 1))
    await peer.send(CHUNKED + chunk(events) + chunk(b""))
    await peer.read_rest()


async def free(peer: Peer) -> None:
    """All when they were sent, by their marks."""
    events = b"".join(sent(number, OF, 0.0) for number in range(1, OF + 1))
    await peer.send(CHUNKED + chunk(events) + chunk(b""))
    await peer.read_rest()


Found = dict[str, object]
Serve = Callable[[Upstream], Awaitable[None]]


async def found(
    upstream: Upstream, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> tuple[int, Found]:
    status, _ = await asyncio.gather(doctor(upstream.url), serve(upstream))
    table: Found = json.loads(capsys.readouterr().out)
    return status, table


async def test_variants_are_asked_at_the_same_time(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """None is answered before both are here."""

    async def serve(upstream: Upstream) -> None:
        first, accepts = await asked(upstream)
        assert accepts == "text/event-stream"
        await held(first)
        both = await two(upstream)
        await asyncio.gather(free(both["plain"]), held(both["*/*"]))

    status, table = await found(upstream, serve, capsys)
    assert status == 1
    assert str(table["verdict"]).endswith("only when the client accepts compression.")


async def test_nothing_for_a_while_is_not_waited_out_before_the_variants_are_asked(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request itself is answered once the variants are here."""

    async def serve(upstream: Upstream) -> None:
        first, _ = await asked(upstream)
        both = await two(upstream)
        await asyncio.gather(held(first), free(both["plain"]), held(both["*/*"]))

    status, table = await found(upstream, serve, capsys)
    assert (status, table["kind"]) == (1, "all at the end")
    assert str(table["verdict"]).endswith("only when the client accepts compression.")


async def test_a_stream_that_began_late_is_not_compared_after_all(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are left as soon as the request itself is seen to stream."""

    async def serve(upstream: Upstream) -> None:
        first, _ = await asked(upstream)
        others = [await asked(upstream) for _ in range(2)]
        await free(first)
        for peer, _ in others:
            assert (await peer.read_to_close())[0] == b""

    status, table = await found(upstream, serve, capsys)
    assert (status, table["state"]) == (0, "streams")
    measurements = table["measurements"]
    assert isinstance(measurements, list)
    assert len(measurements) == 1


async def test_who_serves_one_at_a_time_is_asked_in_turn(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside another request it refuses; alone it streams."""

    async def serve(upstream: Upstream) -> None:
        first, _ = await asked(upstream)
        both = await two(upstream)
        await both["plain"].send(BUSY)
        await asyncio.gather(held(first), held(both["*/*"]))
        again, accepts = await asked(upstream)
        assert accepts == "plain"
        await free(again)

    status, table = await found(upstream, serve, capsys)
    assert status == 1
    assert str(table["verdict"]).endswith("only when the client accepts compression.")


async def test_who_cuts_the_first_for_the_second_is_asked_in_turn(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """One stream for each client: the newest one."""

    async def serve(upstream: Upstream) -> None:
        first, _ = await asked(upstream)
        await first.send(CHUNKED)
        others = [await asked(upstream) for _ in range(2)]
        first.reset()
        for peer, _ in others:
            await held(peer)
        for accepts in ("text/event-stream", "plain", "*/*"):
            again, which = await asked(upstream)
            assert which == accepts
            await held(again)

    status, table = await found(upstream, serve, capsys)
    assert (status, table["kind"]) == (1, "all at the end")
    assert upstream.unexpected == 0
