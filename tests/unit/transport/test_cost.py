"""What an open stream keeps, and how many steps a small request takes.

Both are counted, so no load of the machine changes them. A bound may be raised, by
who says what it is for.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path
from types import FrameType
from typing import cast

import proxy
from proxy.http1.grammar import LOWER_NAMES, NAMES
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection
from tests.support.memory import MemoryProxy, MemoryTransport

OWN = str(Path(proxy.__file__).parent)
STREAMS = 200
# Of our own objects for one stream, both connections included; transports are the
# loop's. 4,398 in Python 3.11.
STREAM_BYTES = 4500
CALLS = 130  # of our own functions, for one small request; 127 in Python 3.11

GET = b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: x/1\r\nX-A: 1\r\n\r\n"
OK = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok"
)
EVENTS = (
    b"GET /events?n=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"Accept: text/event-stream\r\nUser-Agent: x/1\r\n\r\n"
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
)
EVENT = b"9\r\ndata: x\n\n\r\n"


def bytes_of_own() -> int:
    """What code of the proxy has allocated and not freed."""
    gc.collect()
    own = tracemalloc.Filter(inclusive=True, filename_pattern=OWN + "/*")
    found = tracemalloc.take_snapshot().filter_traces([own])
    return sum(each.size for each in found.statistics("filename"))


def copied(data: bytes) -> bytes:
    """The same bytes as another object, as each read of a socket gives them."""
    return bytes(bytearray(data))


def open_stream(served: MemoryProxy) -> tuple[MemoryTransport, MemoryTransport]:
    """One more client with a stream of its own."""
    (pool,) = cast("list[Upstream]", list(served.server.compiled.upstreams))
    client = MemoryTransport(served.server.accept())
    upstream = UpstreamConnection(pool)
    server = MemoryTransport(upstream)
    pool.keep(upstream)
    client.receive(copied(EVENTS))
    for data in (STREAM, EVENT):
        server.receive(copied(data))
    assert client.written.endswith(EVENT)
    client.written = server.written = b""
    return client, server


async def test_an_open_stream_keeps_no_more_than_it_needs() -> None:
    for known in (NAMES, LOWER_NAMES):
        known.clear()  # other tests may have filled them
    served = MemoryProxy()
    streams = [open_stream(served) for _ in range(10)]  # what is kept once, is
    tracemalloc.start()
    try:
        before = bytes_of_own()
        streams += [open_stream(served) for _ in range(STREAMS)]
        taken = bytes_of_own() - before
    finally:
        tracemalloc.stop()
    assert served.server.under_way == len(streams)
    assert taken / STREAMS < STREAM_BYTES
    served.stop()


async def test_a_small_request_takes_no_more_steps_than_it_needs() -> None:
    served = MemoryProxy()
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event == "call" and frame.f_code.co_filename.startswith(OWN):
            calls += 1

    def exchange() -> None:
        served.client.receive(GET)
        (server,) = served.open_upstreams
        server.written = b""
        server.receive(OK)
        assert served.client.written.endswith(b"ok")
        served.client.written = b""

    for _ in range(600):  # the list of ended exchanges is full by then
        exchange()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        exchange()
    finally:
        sys.setprofile(before)
    assert calls < CALLS
    served.stop()
