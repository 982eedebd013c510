"""The short way of events into a log and to a client gives what the long one gives."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.kept_options import Resume, Share
from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.exchange.kept_relay import KeptRelay
from proxy.exchange.kept_stream import KeptStream
from proxy.kept.memory_log import LOG_BYTES, MemoryLog
from proxy.stream.event_index import EventIndex
from proxy.timeline import Ending
from tests.conftest import InternalErrorLog
from tests.support.kept import EVENT_HEAD, NDJSON_HEAD, ask
from tests.support.memory import MemoryProxy, MemoryTransport, unchunked

TARGET = (parse_target("http://127.0.0.1:1"),)
EVENTS = EVENT_HEAD % b""
LONG = 4 * 1024  # a chunk that goes the long way


def route(*, ids: bool = False, share: bool = False, max_bytes: int = 1 << 20) -> Route:
    if share:
        return Route(prefix="/", targets=TARGET, share=Share(replay=1))
    return Route(
        prefix="/", targets=TARGET, resume=Resume(ids=ids, max_bytes=max_bytes)
    )


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Stream:
    """One kept stream of a proxy without sockets, with its first client."""

    def __init__(self, route: Route, head: bytes = EVENTS) -> None:
        self.proxy = MemoryProxy(Config(routes={"/": route}))
        self.proxy.client.receive(ask(b"/"))
        (self.upstream,) = self.proxy.open_upstreams
        self.upstream.receive(head)
        (exchange,) = self.proxy.server.exchanges
        kept = exchange.kept
        assert isinstance(kept, KeptStream)
        self.kept = kept

    @property
    def index(self) -> EventIndex:
        index = self.kept.sink.index
        assert index is not None
        return index

    @property
    def log(self) -> MemoryLog:
        assert isinstance(self.kept.log, MemoryLog)
        return self.kept.log

    def send(self, *pieces: bytes) -> None:
        """Each as one whole chunk."""
        for piece in pieces:
            self.upstream.receive(framed(piece))

    def joined(self, **fields: str) -> MemoryTransport:
        """One more client."""
        client = MemoryTransport(self.proxy.server.listeners.accept())
        client.receive(ask(b"/_unbuffered/streams/" + self.kept.id, **fields))
        return client


def body(client: MemoryTransport) -> bytes:
    """What a client was sent, without its framing."""
    head, _, rest = client.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    return unchunked(rest)[0]


def state(log: MemoryLog) -> list[Any]:
    """All that a log knows."""
    known = log.read(log.first, log.end), list(log.events), list(log.comments)
    return [log.first, log.end, *known, log.dropped, log.in_order, log.ours, log.ids]


def places(index: EventIndex) -> list[Any]:
    found = {name: getattr(index, name) for name in dir(index) if name != "cuts"}
    return [
        each for each in found.items() if each[0][0] != "_" and not callable(each[1])
    ]


PARTS = [b"data: x", b"data: 12345678", b"event: e", b"id: 7", b"id", b"idle", b":",
         b" ", b"\n", b"\n\n", b"\r", b"\r\n", b"{}", b'{"a": 1}', b"\0",
         b"d" * LONG]  # fmt: skip
PLAIN = [b"data: 12345678\n\n", b"event: tick\ndata: x\n\n", b"data: \xc3\xa9 \0\n\n",
         b"data:\n\n", b'{"a": 1}\n', b'{"b": [2]}\n']  # fmt: skip
PIECES = st.lists(
    st.one_of(
        st.sampled_from(PLAIN),
        st.sampled_from(PLAIN),
        st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map(b"".join),
    ),
    max_size=12,
)


@pytest.mark.parametrize("head", [EVENTS, NDJSON_HEAD], ids=["events", "lines"])
@pytest.mark.parametrize("ids", [False, True])
async def test_whatever_comes_is_kept_and_sent_as_by_the_long_way(
    head: bytes, ids: bool
) -> None:
    @settings(deadline=None)
    @given(PIECES)
    def same(pieces: list[bytes]) -> None:
        stream = Stream(route(ids=ids), head)
        prefix = stream.index.prefix
        assert (prefix is not None) is (ids and head is EVENTS)
        index = EventIndex(lines=head is NDJSON_HEAD, prefix=prefix)
        store = stream.proxy.server.kept.store
        log = store.open(1 << 20, prefix)
        assert isinstance(log, MemoryLog)
        sent = b""
        for piece in pieces:
            stream.send(piece)
            scanned = index.scan(piece)
            log.append(scanned, index.cuts)
            sent += scanned
            assert body(stream.proxy.client) == sent
            assert state(stream.log) == state(log)
            assert places(stream.index) == places(index)
            assert stream.log.charged >= LOG_BYTES + stream.log.bytes_used
        log.close()
        timeline = stream.kept.upstream.first.timeline
        assert timeline.bytes_sent == sum(map(len, pieces))
        assert timeline.call.pieces == len(pieces)
        stream.proxy.stop()

    same()


EVENT = b"data: 1234567890\n\n"
OTHER = b"data: abcdefghij\n\n"


def goes_the_short_way(stream: Stream, event: bytes = EVENT) -> bool:
    """A list of cuts is made by `EventIndex.scan` only."""
    before = stream.index.cuts
    stream.send(event)
    return stream.index.cuts is before


@pytest.mark.parametrize(
    ("event", "short"),
    [
        pytest.param(EVENT, True, id="an event"),
        pytest.param(b"event: e\ndata: x\n\n", True, id="of two lines"),
        pytest.param(b"data:\n\n", False, id="shorter than a cut is cheap"),
        pytest.param(b"id: 7\ndata: 123\n\n", False, id="with an id"),
        pytest.param(b"data: 123\nid: 7\n\n", False, id="with an id behind"),
        pytest.param(b": comment\n\n", False, id="a comment"),
        pytest.param(b"data: 12345\r\n\r\n", False, id="CRLF"),
        pytest.param(b"data: 12345\r\n\n", False, id="mixed"),
        pytest.param(EVENT + OTHER, False, id="two"),
        pytest.param(EVENT + b"\n", False, id="a blank line more"),
        pytest.param(b"data: 12345678\n", False, id="not its end"),
        pytest.param(b"data: %b\n\n" % (b"x" * LONG), False, id="long"),
    ],
)
async def test_a_short_plain_event_goes_the_short_way(
    event: bytes, short: bool
) -> None:
    stream = Stream(route())
    stream.send(EVENT, EVENT, EVENT)
    assert goes_the_short_way(stream, event) is short
    stream.proxy.stop()


async def test_with_two_clients_each_gets_each_event_once() -> None:
    stream = Stream(route())
    stream.send(EVENT, EVENT)
    assert goes_the_short_way(stream)
    second = stream.joined()
    assert not goes_the_short_way(stream, OTHER)
    assert not goes_the_short_way(stream)
    expected = 3 * EVENT + OTHER + EVENT
    assert body(second) == body(stream.proxy.client) == expected
    second.end(None)
    stream.send(OTHER)
    assert goes_the_short_way(stream)
    assert body(stream.proxy.client) == expected + OTHER + EVENT
    assert body(second) == expected
    stream.proxy.stop()


async def test_when_the_only_client_has_left_the_stream_goes_on() -> None:
    stream = Stream(route(ids=True))
    stream.send(EVENT, EVENT, EVENT)
    first = stream.proxy.client
    first.end(None)
    stream.send(OTHER, EVENT)
    second = stream.joined(Last_Event_ID=f"{stream.kept.id.decode()}.3")
    stream.send(OTHER)
    assert goes_the_short_way(stream)
    lines = [each for each in body(second).split(b"\n") if each.startswith(b"id")]
    assert lines == [b"id: %b.%d" % (stream.kept.id, n) for n in (4, 5, 6, 7)]
    assert body(first).count(b"\nid") == 3
    stream.proxy.stop()


class Slow:
    """A transport's `write` that says, within it, that the peer is slow."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.write = transport.write

    def __call__(self, data: bytes) -> None:
        self.write(data)
        self.transport.connection.pause_writing()


async def test_a_client_that_is_slow_from_an_event_on_gets_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told by the write, when the event is in the log already."""
    stream = Stream(route())
    client = stream.proxy.client
    slow = Slow(client)
    stream.send(EVENT, EVENT)
    monkeypatch.setattr(stream.kept.audience, "only", slow)
    stream.send(OTHER, EVENT, OTHER)
    assert body(client) == EVENT + EVENT + OTHER
    client.connection.resume_writing()
    assert body(client) == EVENT + EVENT + OTHER + EVENT + OTHER
    stream.send(EVENT)
    assert goes_the_short_way(stream)
    assert body(client) == EVENT + EVENT + OTHER + EVENT + OTHER + EVENT + EVENT
    stream.proxy.stop()


async def test_what_writing_to_the_only_client_raises_costs_that_client(
    monkeypatch: pytest.MonkeyPatch, internal_errors: InternalErrorLog
) -> None:
    def broken(data: bytes) -> None:
        raise ValueError("no write")

    stream = Stream(route())
    stream.send(EVENT, EVENT)
    monkeypatch.setattr(stream.kept.audience, "only", broken)
    stream.send(OTHER)
    assert len(internal_errors.told) == 1
    ended = [each.ending for each in stream.proxy.timelines]
    assert ended == [Ending.INTERNAL_ERROR]
    stream.send(EVENT)
    assert body(stream.joined()) == EVENT + EVENT + OTHER + EVENT
    stream.proxy.stop()


async def test_what_was_said_of_the_end_of_an_event_is_said_at_that_end() -> None:
    stream = Stream(route())
    stream.send(EVENT, EVENT, b"data: begun")
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    stream.kept.call_between_events(lambda: told.set_result(None))
    stream.send(b"\n\n")
    await told
    stream.send(EVENT)
    assert goes_the_short_way(stream)
    stream.proxy.stop()


async def test_a_shared_stream_of_one_client_keeps_no_more_than_it_may() -> None:
    stream = Stream(route(share=True))
    event = b"data: %b\n\n" % (b"x" * 1000)
    for _ in range(3):
        stream.send(event)
    assert goes_the_short_way(stream, event)
    for _ in range(2000):
        stream.send(event)
        assert stream.log.bytes_used < 200 * 1024
        stream.proxy.client.written = b""
    stream.proxy.stop()


async def test_the_oldest_events_go_when_the_log_is_full() -> None:
    stream = Stream(route(max_bytes=100_000))
    for n in range(20_000):
        stream.send(b"data: %06d\n\n" % n)
        assert stream.log.bytes_used <= 100_000
        stream.proxy.client.written = b""
    first = stream.log.read(stream.log.first, 14)
    assert first.startswith(b"data: 0")
    assert stream.log.end == 20_000 * 14
    stream.proxy.stop()


async def test_a_chunk_of_the_next_response_does_not_reach_the_last_one() -> None:
    """A connection of the upstream forgets the relay together with its exchange."""
    stream = Stream(route())
    stream.send(EVENT, EVENT)
    relay = cast("KeptRelay", stream.upstream.connection.receiver)
    assert isinstance(relay, KeptRelay)
    stream.upstream.receive(b"0\r\n\r\n")
    assert cast("Any", stream.upstream.connection).chunks is None
    stream.proxy.stop()
