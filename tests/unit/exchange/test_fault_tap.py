"""Who may have the upstream read on, while a fault has something of it left."""

from __future__ import annotations

import gzip
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.fault_options import Fault
from proxy.policy.fault_steps import Complete
from proxy.transport.relay import DecodingRelay, ResponseRelay
from proxy.transport.upstream_connection import UpstreamConnection
from tests.support.broken_steps import CUTS, STREAMS, SUDDEN, cut, sent, steps
from tests.support.memory import CONFIG, MemoryProxy, MemoryTransport, unchunked
from tests.support.raw import became, chunk, settled
from tests.unit.exchange.test_taps import Tapes

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream\r\n"
)
END = b"\r\n\r\n"
LONG = 86400.0  # seconds
MIB = 1 << 20


def paused(connection: UpstreamConnection) -> bool:
    return connection.paused


def begun(
    *faults: Fault, tapes: Tapes | None = None
) -> tuple[MemoryProxy, MemoryTransport, UpstreamConnection]:
    """A request whose upstream has faults."""
    route = msgspec.structs.replace(CONFIG.routes["/"], fault=faults)
    served = MemoryProxy(
        msgspec.structs.replace(CONFIG, routes={"/": route}), tapes=tapes
    )
    served.client.receive(GET)
    [upstream] = served.open_upstreams
    return served, upstream, cast("UpstreamConnection", upstream.connection)


async def test_a_client_that_reads_on_does_not_end_a_wait() -> None:
    served, upstream, connection = begun(Fault(kind="drip", size=4, seconds=LONG))
    upstream.receive(STREAM + b"\r\n" + chunk(b"data: 1\n\n"))
    assert paused(connection)
    served.client_connection.pause_writing()
    served.client_connection.resume_writing()
    assert paused(connection)
    served.stop()


async def test_a_client_that_reads_on_gets_what_was_left() -> None:
    fault = Fault(kind="duplicate", after=2)
    served, upstream, connection = begun(fault)
    upstream.receive(STREAM + b"\r\n")
    served.client_connection.pause_writing()
    served.client.written = b""
    upstream.receive(chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n"))
    assert served.client.written == b""
    assert paused(connection)
    served.client_connection.resume_writing()
    assert served.client.written.count(b"data: 2") == 2
    assert not paused(connection)
    served.stop()


async def test_what_takes_long_to_decode_holds_the_upstream() -> None:
    """The relay has asked for a pause; a tap in which nothing waits does not end it."""
    served, upstream, connection = begun(Fault(kind="fin", after=1_000_000))
    coded = gzip.compress(bytes(8 * MIB))
    upstream.receive(STREAM + b"Content-Encoding: gzip\r\n\r\n" + chunk(coded))
    [exchange] = served.server.exchanges
    relay = cast("DecodingRelay", exchange.response_pipeline)
    assert relay.resting
    assert paused(connection)
    upstream.receive(chunk(b"more"))
    assert paused(connection)
    await became(lambda: not relay.resting)
    served.stop()


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        pytest.param(
            Fault(kind="fin", after=2, inside=True),
            ["200 chunked", "upstream 9", "upstream 4", "fin, upstream broke"],
            id="fin",
        ),
        pytest.param(
            Fault(kind="reset", after=1),
            ["200 chunked", "upstream 9", "reset, upstream broke"],
            id="reset",
        ),
        pytest.param(
            Fault(kind="duplicate", after=1),
            ["200 chunked", *["upstream 9"] * 3, "complete, complete"],
            id="duplicate",
        ),
        pytest.param(
            Fault(kind="wrong_length", size=9),
            ["200 length", "upstream 9", "complete, complete"],
            id="wrong_length",
        ),
        pytest.param(
            Fault(kind="status"),
            ["500 length", "upstream 85", "complete, complete"],
            id="status",
        ),
    ],
)
async def test_a_record_has_what_was_seen(fault: Fault, heard: list[str]) -> None:
    tapes = Tapes()
    served, upstream, _ = begun(fault, tapes=tapes)
    upstream.receive(STREAM + b"\r\n")
    for piece in (b"data: 1\n\n", b"data: 2\n\n", b""):
        upstream.receive(chunk(piece))
    assert tapes.heard[1:] == heard
    served.stop()


@example(b"data: 1\n" * 8 + b"\r\n", [Fault(kind="coalesce", size=1)], [], [])
@given(STREAMS, st.lists(SUDDEN, min_size=1, max_size=2), CUTS, CUTS)
async def test_a_client_gets_what_the_faults_make_however_the_wire_is_cut(
    stream: bytes, faults: list[Fault], chunks: list[int], reads: list[int]
) -> None:
    made = steps(faults, [stream] if stream else [], route="/")
    served, upstream, _ = begun(*faults)
    body = b"".join(map(chunk, [*cut(stream, chunks), b""]))
    for read in cut(STREAM + b"\r\n" + body, reads):
        upstream.receive(read)
    await settled(lambda: len(served.client.written))  # so many steps in each turn
    content, complete, _, _ = unchunked(served.client.written.partition(END)[2])
    assert content == sent(made)
    assert complete == (made[-1] == Complete())
    served.stop()


async def test_a_request_that_has_no_fault_is_read_as_ever() -> None:
    """Its tap lets all pass; a route without faults has no tap at all."""
    served, upstream, connection = begun(Fault(kind="fin", times=1))
    served.client.close()
    served.connect()
    served.client.receive(GET)
    [upstream] = served.open_upstreams
    connection = cast("UpstreamConnection", upstream.connection)
    upstream.receive(STREAM + b"\r\n")
    assert isinstance(connection.receiver, ResponseRelay)
    served.stop()
    plain = MemoryProxy()
    assert [each.taps for each in plain.server.compiled.by_prefix.values()] == [()]
    plain.stop()
