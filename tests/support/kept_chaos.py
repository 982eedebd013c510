"""Streams of an upstream by number, and clients that lose their connection on the way.

What a stream consists of is said by a seed and its number. The upstream sends no piece
that a client has not allowed, so a stream goes on as far as its client wants: while it
reads, while it is away, to its end, or to where the upstream breaks off.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import NamedTuple, cast

from tests.support.raw import chunk

# How a stream is asked for, and how its client comes back for it.
OURS, THEIRS, LINES, ANSWER = "ours", "theirs", "lines", "answer"
KINDS = (OURS, THEIRS, LINES, ANSWER)
NEW, BY_IDEMPOTENCY_KEY, BY_KEY, BY_EVENT_ID, BY_QUERY, BY_BYTE, AT_ADDRESS = (
    "new",
    "Idempotency-Key",
    "key",
    "Last-Event-ID",
    "lastEventID",
    "Stream-Id and byte",
    "Stream-Id and Last-Event-ID",
)
WAYS = {NEW, BY_IDEMPOTENCY_KEY, BY_KEY, BY_EVENT_ID, BY_QUERY, BY_BYTE, AT_ADDRESS}
BACKLOG = 4096  # where it is full, a connection is tried again after 1 s
ALLOWED = (300, 600, 1200, 3000)  # bytes, with the head
NUMBER = re.compile(rb"(\w+) /(\w+)/(\d+)\?")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
LAST = re.compile(rb"(?i)(?:\r\nlast-event-id: |[?]lastEventID=)([^\r ]*)")


class Event(NamedTuple):
    """One event or comment: `body` and the blank line behind it."""

    body: bytes
    end: bytes
    counts: bool  # does it get an id?


class Script:
    """One stream: its events, its pieces, and where its upstream breaks off."""

    def __init__(self, seed: int, number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        self.number = number
        self.kind = KINDS[number % len(KINDS)]
        self.events = [
            self.event(chance, index) for index in range(chance.randint(1, 12))
        ]
        self.body = b"".join(each.body + each.end for each in self.events)
        self.pieces = cut(chance, self.body)
        self.dies_at: int | None = None  # before that piece, the first time
        if chance.random() < 0.25:
            self.dies_at = chance.randint(0, len(self.pieces))

    def event(self, chance: random.Random, index: int) -> Event:
        """One that no other stream has."""
        text = b"%d.%d %b" % (self.number, index, b"x" * chance.choice((0, 9, 700)))
        if self.kind == LINES:
            return Event(b'{"text": "%b"}' % text, b"\n", True)
        eol = chance.choice((b"\n", b"\n", b"\r\n"))
        # Behind an id, an upstream would send it again: it is no event.
        if self.kind != THEIRS and chance.random() < 0.1:
            return Event(b": %b" % text + eol, eol, False)
        lines = [b"data: %b" % text] * chance.randint(1, 2)
        if chance.random() < 0.2:
            lines.insert(0, b"event: delta")
        if self.kind == THEIRS:
            lines.insert(
                chance.randint(0, len(lines)), b"id: %d-%d" % (self.number, index)
            )
        return Event(eol.join(lines) + eol, eol, True)

    def as_sent(self, id: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
        """What clients get of the stream with that ID; where its events end."""
        body, ends, count = b"", [], 0
        for index, event in enumerate(self.events):
            body += event.body
            name = b"%d-%d" % (self.number, index)
            if event.counts and self.kind in (OURS, ANSWER):
                count += 1
                name = b"%b.%d" % (id, count)
                body += b"id: %b\n" % name
            body += event.end
            if event.counts:
                ends.append((len(body), name))
        return body, ends


def cut(chance: random.Random, body: bytes) -> list[bytes]:
    """A body in pieces, at any places."""
    places = sorted(chance.randrange(len(body)) for _ in range(chance.randint(0, 14)))
    edges = [0, *places, len(body)]
    pieces = [body[a:b] for a, b in pairwise(edges)]
    return [piece for piece in pieces if piece]


class Origin:
    """The upstream of all streams."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.allowed: Counter[int] = Counter()  # pieces, by the number of the stream
        self.serving: defaultdict[int, set[OriginConnection]] = defaultdict(set)
        self.connections: set[OriginConnection] = set()
        self.asked: Counter[int] = Counter()

    def allow(self, number: int, pieces: int) -> None:
        """Send so many pieces more."""
        self.allowed[number] += pieces
        for each in tuple(self.serving[number]):
            each.go_on()


class OriginConnection(asyncio.Protocol):
    """One connection of the proxy: one stream after the other."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.received = b""
        self.script: Script | None = None
        self.pieces: list[bytes] = []
        self.sent = 0
        self.dies = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.origin.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.origin.connections.discard(self)
        self.ended()

    def ended(self) -> None:
        """The stream is no longer sent."""
        script, self.script = self.script, None
        if script is not None:
            self.origin.serving[script.number].discard(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, rest = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or len(rest) < (int(length[1]) if length else 0):
            return
        self.received = b""
        self.respond(head)

    def respond(self, head: bytes) -> None:
        found, last = NUMBER.match(head), LAST.search(head)
        assert found is not None, head
        script = Script(self.origin.seed, int(found[3]))
        if last is not None and script.kind != THEIRS:
            # A stream that has failed: this one would be a new one.
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        self.pieces = script.pieces
        if last is not None:
            self.pieces = [rest_of(script, last[1])]
        kind = b"x-ndjson" if script.kind == LINES else b"event-stream"
        top = b"application" if script.kind == LINES else b"text"
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: %b/%b\r\n\r\n" % (top, kind)
        )
        self.sent = 0
        self.dies = script.dies_at is not None and not self.origin.asked[script.number]
        self.origin.asked[script.number] += 1
        self.script = script
        self.origin.serving[script.number].add(self)
        self.go_on()

    def go_on(self) -> None:
        """Send what is allowed."""
        script = self.script
        while script is not None and self.sent < self.origin.allowed[script.number]:
            if self.dies and self.sent == script.dies_at:
                self.ended()
                self.transport.close()  # behind what was sent
                return
            if self.sent == len(self.pieces):
                self.ended()
                self.transport.write(chunk(b""))
                return
            if self.pieces[self.sent]:
                self.transport.write(chunk(self.pieces[self.sent]))
            self.sent += 1


def rest_of(script: Script, last: bytes) -> bytes:
    """What follows an event of an upstream that numbers its events."""
    body, ends = script.as_sent(b"")
    (place,) = [end for end, name in ends if name == last]
    return body[place:]


class Response(NamedTuple):
    """What a client has of a response: `whole` if it has its end."""

    status: int
    id: bytes  # of the stream
    body: bytes  # of an error: what it says
    whole: bool


@contextlib.asynccontextmanager
async def origin_of(seed: int) -> AsyncIterator[tuple[Origin, str]]:
    """An upstream, and its address."""
    origin = Origin(seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: OriginConnection(origin), "127.0.0.1", 0, backlog=BACKLOG
    )
    try:
        yield origin, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in tuple(origin.connections):
            each.transport.abort()


STREAM_ID = re.compile(rb"(?i)\r\nstream-id: ([^\r]*)")


def read_response(received: bytes) -> Response | None:
    """As much as there is of it; None: not even its head."""
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status, id = int(head[9:12]), STREAM_ID.search(head)
    body, whole = b"" if status == 200 else rest, status != 200
    while status == 200:
        size, end, after = rest.partition(b"\r\n")
        if not end:
            break
        length = int(size, 16)
        if not length:
            whole = True
            break
        body += after[:length]
        rest = after[length + 2 :]
        if not rest:
            break
    return Response(status, id[1] if id else b"", body, whole)


class Visitor:
    """The client of one stream: it loses its connection, and comes back."""

    def __init__(
        self,
        origin: Origin,
        number: int,
        ports: list[int],
        tls: ssl.SSLContext | None,
        most_cuts: int,
    ) -> None:
        self.origin = origin
        self.chance = random.Random(f"{origin.seed}/client/{number}")
        self.script = Script(origin.seed, number)
        self.number = number
        self.ports = ports
        self.port = 0  # of the last connection
        self.tls = tls
        self.cuts = self.chance.randint(0, most_cuts)
        self.id = b""
        self.raw = b""  # of the stream, from its first byte on
        self.begins = 0  # where in it the one with that ID begins
        self.ways: Counter[str] = Counter()

    # -- what it asks for

    def request(self) -> bytes:
        """By one of the ways in which this stream can be taken up."""
        way = self.way()
        self.ways[way] += 1
        path, method, fields, body = b"", b"GET", b"", b""
        path = b"/%b/%d?" % (self.script.kind.encode(), self.number)
        if self.script.kind == ANSWER:
            method, body = b"POST", b'{"id": "c%d"}' % self.number
            fields = b"Idempotency-Key: k%d\r\n" % self.number
        elif self.script.kind != LINES:
            fields = b"Accept: text/event-stream\r\n"
        last, _ = self.last_event()
        if way in (NEW, BY_IDEMPOTENCY_KEY, BY_KEY):
            self.raw = b""
        if way in (NEW, BY_IDEMPOTENCY_KEY):  # it may have failed: another one
            self.id = b""
        if way == BY_KEY:
            path, method, body = b"/answer/c%d/stream" % self.number, b"GET", b""
        elif way == BY_EVENT_ID:
            fields = b"Accept: text/event-stream\r\nLast-Event-ID: %b\r\n" % last
        elif way == BY_QUERY:
            path += b"lastEventID=%b" % last
        elif way in (BY_BYTE, AT_ADDRESS):
            path, method, body = b"/_unbuffered/streams/" + self.id, b"GET", b""
            if way == BY_BYTE:
                path += b"?from=%d" % len(self.raw)
            elif last:
                fields = b"Last-Event-ID: %b\r\n" % last
        return (
            b"%b %b HTTP/1.1\r\nHost: a\r\nAuthorization: %d\r\n%b"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (method, path, self.number, fields, len(body), body)
        )

    def way(self) -> str:
        """One that is possible now."""
        kind, ways = self.script.kind, []
        if kind == ANSWER and self.ways:
            ways += [BY_IDEMPOTENCY_KEY, BY_KEY]
        if self.id and (not self.begins or self.begins < self.last_event()[1]):
            ways.append(AT_ADDRESS)
            if kind != THEIRS:  # what broke off inside an event is taken back
                ways.append(BY_BYTE)
        if kind != LINES and self.last_event()[0]:
            ways.append(BY_EVENT_ID)
            if kind != ANSWER:
                ways.append(BY_QUERY)
        way = self.chance.choice(ways) if ways else NEW
        if way in (BY_EVENT_ID, BY_QUERY) or way == AT_ADDRESS:
            self.raw = self.raw[: self.last_event()[1]]
        return way

    def last_event(self) -> tuple[bytes, int]:
        """The last one that it has all of, and where it ends."""
        if self.script.kind == LINES:
            return b"", 0
        found = (b"", 0)
        for end, name in self.script.as_sent(self.id)[1]:
            if end <= len(self.raw):
                found = (name, end)
        return found

    # -- what it gets

    async def visit(self) -> str:
        """Read the stream to its end: "complete" or "broken off"."""
        while True:
            ended = await self.connect_once(self.allowance)
            if ended:
                return ended

    async def connect_once(self, allow: Callable[[], int | None]) -> str:
        """Come once more; how the stream has ended, if it has.

        `allow`: asked, once its way is chosen, how many bytes it takes.
        """
        if self.id and self.chance.random() < 0.05:
            await self.ask_as_another()
        request = self.request()
        allowance = allow()
        received = await self.connect(request, allowance)
        ended = self.take(read_response(received), cut=allowance is not None)
        if ended:
            self.raw = b""
        elif self.chance.random() < 0.4:  # it goes on while the client is away
            self.origin.allow(self.number, self.chance.randint(1, 8))
        return ended

    def allowance(self) -> int | None:
        """After how many bytes the connection is cut; None: it is not."""
        if not self.cuts:
            return None
        self.cuts -= 1
        return self.chance.randint(0, self.chance.choice(ALLOWED))

    async def ask_as_another(self) -> None:
        """Nobody else gets it."""
        request = (
            b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            b"Authorization: another\r\n\r\n" % self.id
        )
        response = read_response(await self.connect(request, None))
        assert response is not None
        assert response.status in (404, 410), response

    async def connect(self, request: bytes, allowance: int | None) -> bytes:
        """One connection, up to its end or to that of the allowance."""
        self.port = self.chance.choice(self.ports)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls
        )
        received = b""
        try:
            writer.write(request)
            if self.chance.random() < 0.1:  # gone as soon as it has asked
                allowance = 0 if allowance is not None else None
            while allowance is None or len(received) < allowance:
                self.origin.allow(self.number, 1)
                most = 65536 if allowance is None else allowance - len(received)
                data = await reader.read(most)
                if not data:
                    break
                received += data
        except ConnectionError:
            pass  # a reset tells, too
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return received

    def take(self, response: Response | None, *, cut: bool) -> str:
        """Add what has come; how the stream has ended, if it has."""
        if response is None:
            assert cut, "no response, and no reason for it"
            return ""
        if response.status == 204:
            return self.nothing_left()
        assert response.status == 200, response
        if response.id and response.id != self.id:
            assert not self.raw or self.script.kind == THEIRS, (self.id, response)
            self.id, self.begins = response.id, len(self.raw)
        body = response.body
        if self.raw.endswith(b"\r\n") and body.startswith(b"\n"):
            body = body[1:]  # the event ended between them
        self.raw += body
        expected = self.script.as_sent(self.id)[0]
        assert expected.startswith(self.raw), (self.raw, expected)
        if response.whole:
            assert self.raw == expected, (self.raw, expected)
            return "complete"
        return "" if cut else self.broken_off()

    def nothing_left(self) -> str:
        """204: all was sent, or what has failed is not begun anew."""
        expected = self.script.as_sent(self.id)[0]
        if self.ways and self.raw == expected:
            return "complete"
        if self.script.kind == OURS and self.script.dies_at is not None:
            return "broken off"
        return ""  # by its key there is none that is running

    def broken_off(self) -> str:
        """The end is missing: by the upstream, and the client knows."""
        assert self.script.dies_at is not None, "broken off by the proxy"
        sent = sum(len(each) for each in self.script.pieces[: self.script.dies_at])
        ends = self.script.as_sent(self.id)[1]
        if self.script.kind == THEIRS and ends and ends[0][0] <= sent:
            return ""  # the proxy goes on with it: only an event that was cut is lost
        assert len(self.raw) >= sent, (self.raw, sent)
        return "broken off"
