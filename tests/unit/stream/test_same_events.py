"""Heartbeats change no event: for any stream, any split and any times of the beats.

Through the whole proxy, by two parsers: ours, and a small one that shares nothing
with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.exchange.early_response import EarlyResponse
from proxy.stream.event_stream import Comment, EventReader, Item
from tests.conftest import ManualClock
from tests.support.heartbeats import let_pass
from tests.support.memory import MemoryProxy, unchunked
from tests.support.raw import chunk

BOM = b"\xef\xbb\xbf"
SECONDS = 15.0
GET = b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
GEMINI = GET.replace(b"/x", b"/m:streamGenerateContent")
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
TOKENS = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"data: x",
    b"data:y",
    b"data",
    b"event: e",
    b"id: 1",
    b"id",
    b"retry: 10",
    b": comment",
    b":",
    b" ",
    b"a",
    BOM,
    b"\xef",
    b"\xef\xbb",
    b"\xe4\xbd\xa0",
    b"\0",
]
STREAMS = st.lists(st.sampled_from(TOKENS), max_size=14).map(b"".join)
# Where the stream is cut, and whether the time for a beat passes there.
CUTS = st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=8)
Read = list[tuple[str, str, str]]


def config(padding: int) -> Config:
    route = Route(
        prefix="/",
        targets=(parse_target("http://127.0.0.1:1"),),
        heartbeat_seconds=SECONDS,
        heartbeat_padding_bytes=padding,
        heartbeat_before_head=True,
    )
    return Config(routes={"/": route})


CONFIGS = [config(0), config(3)]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def relayed(
    stream: bytes,
    cuts: list[tuple[int, bool]],
    config: Config,
    request: bytes = GET,
    *,
    early: bool = False,
) -> tuple[bytes, int]:
    """What the client gets of a stream, and how many beats are in it.

    `early`: the response begins before that of the upstream.
    """
    clock = ManualClock()
    proxy = MemoryProxy(config, clock)
    proxy.client.receive(request)
    (exchange,) = proxy.server.exchanges
    upstream = next(each for each in proxy.upstreams if each.written)
    if early:
        clock.advance(SECONDS)
        source = cast("EarlyResponse", exchange.source)
        source.stop()
        source.rang()
    upstream.receive(HEAD)
    places = sorted((place % (len(stream) + 1), beats) for place, beats in cuts)
    at = 0
    for place, beats in [*places, (len(stream), False)]:
        if place > at:
            upstream.receive(chunk(stream[at:place]))
            at = place
        if beats:
            let_pass(exchange, clock, SECONDS)
    upstream.receive(chunk(b""))
    (timeline,) = proxy.timelines
    _, _, rest = proxy.client.written.partition(b"\r\n\r\n")
    body, complete, _, left = unchunked(rest)
    assert complete
    assert left == b""
    proxy.stop()
    return body, timeline.heartbeats


def as_read(body: bytes) -> list[Item]:
    """What our own reader finds, without comments."""
    reader = EventReader()
    return [item for item in reader.read(body) if not isinstance(item, Comment)]


def as_in_the_standard(body: bytes) -> Read:
    """The events of a stream, read at once, word by word as WHATWG HTML §9.2.6."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = re.split(r"\r\n|\n|\r", text)  # what has no end is no line
    events: Read = []
    data: list[str] = []
    kind = last_id = ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value[1:] if value[:1] == " " else value
        if line == "":
            if data:
                events.append((kind or "message", "\n".join(data), last_id))
            data, kind = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            last_id = value
    return [*events, ("the last id", last_id, "")]


@example(BOM + b"data: x\n\n", [], 0, GET, False)
@example(BOM + b"data: x\n\n", [(1, True), (2, True), (3, True)], 0, GET, False)
@example(BOM + b"data: x\n\n", [(1, True), (2, True), (3, True)], 1, GEMINI, True)
@example(b"\xef", [(1, True)], 0, GET, False)
@example(b"\xef\xbbdata: x\n\ndata: y\n\n", [(2, True)], 0, GET, True)
@example(BOM + BOM + b"data: x\n\n", [(3, True)], 0, GET, False)
@example(b"id: 1\r\n\r\ndata: x\r\n\r\n", [(8, True), (9, True)], 1, GET, False)
@example(b"data: x\r\rdata: y\r\r", [(9, True)], 0, GEMINI, False)
@example(b"data: x\n\ndata: y\n\n", [(7, True), (8, True), (9, True)], 0, GET, False)
@given(STREAMS, CUTS, st.integers(0, 1), st.sampled_from([GET, GEMINI]), st.booleans())
def test_the_events_are_the_same_with_and_without_heartbeats(
    loop: asyncio.AbstractEventLoop,
    stream: bytes,
    cuts: list[tuple[int, bool]],
    padding: int,
    request_: bytes,
    early: bool,
) -> None:
    body, beats = loop.run_until_complete(
        relayed(stream, cuts, CONFIGS[padding], request_, early=early)
    )
    assert beats >= 1
    assert as_read(body) == as_read(stream)
    assert as_in_the_standard(body) == as_in_the_standard(stream)
    # Nothing but the beats was added, and nothing but one mark taken away. A comment
    # has one byte more than as many blank lines.
    size = 1 + 3 * padding + (request_ is GET)
    assert len(body) == len(stream.removeprefix(BOM)) + beats * size


@given(STREAMS, CUTS)
def test_no_heartbeat_adds_a_blank_line(
    loop: asyncio.AbstractEventLoop, stream: bytes, cuts: list[tuple[int, bool]]
) -> None:
    """Clients of LLMs take a blank line behind an id for an event.

    Where lines end in CR alone, and an LF follows later, one is added; nobody
    mixes the two.
    """
    if b"\r\r" in stream:
        stream = stream.replace(b"\r\r", b"")
    body, _ = loop.run_until_complete(relayed(stream, cuts, CONFIGS[0]))

    def blank_lines(data: bytes) -> int:
        *lines, _ = re.split(rb"\r\n|\n|\r", data.removeprefix(BOM))
        return lines.count(b"")

    assert blank_lines(body) == blank_lines(stream)


def test_the_parser_of_this_test_reads_the_example_of_the_standard() -> None:
    """WHATWG HTML §9.2.6: the stream that fires two events with empty data."""
    assert as_in_the_standard(b"data\n\ndata\ndata\n\ndata:") == [
        ("message", "", ""),
        ("message", "\n", ""),
        ("the last id", "", ""),
    ]
