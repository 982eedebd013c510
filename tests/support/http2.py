"""Clients by HTTP/2: one that is independent of the proxy's own code, and a raw one.

`Http2Client` is the `h2` package on a socket: what breaks the protocol raises there.
`FramePeer` sends and reads frames one by one, well-formed or not.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import NamedTuple, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import hyperframe.frame

from tests.support.certificates import Authority
from tests.support.raw import GUARD, Peer, connect
from tests.support.running import RunningProxy

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = Struct(">HBBBI")
NUMBER = Struct(">I")
SETTING = Struct(">HI")

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
INITIAL_WINDOW_SIZE = 4

Fields = list[tuple[str, str]]
E = TypeVar("E", bound=h2.events.Event)


async def dial(
    port: int,
    context: ssl.SSLContext | None = None,
    receive_bytes: int = 0,
    name: str = "127.0.0.1",
) -> Peer:
    """A connection on which HTTP/2 is spoken.

    By TLS `name` is sent as the server's, unless it is an address (RFC 6066 §3).
    """
    if context is None:
        return await connect(port, receive_bytes=receive_bytes)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with asyncio.timeout(GUARD):
        peer = Peer(
            *await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=name
            )
        )
    return peer


def agreed(peer: Peer) -> str | None:
    """The protocol that TLS has settled."""
    tls = peer.writer.get_extra_info("ssl_object")
    found: str | None = tls.selected_alpn_protocol()
    return found


class Patient(h2.connection.H2Connection):
    """Goes on after a graceful GOAWAY, which `h2` takes for the end of all.

    RFC 9113 §6.8: what is open may be completed.
    """

    def _receive_goaway_frame(
        self, frame: hyperframe.frame.GoAwayFrame
    ) -> tuple[list[hyperframe.frame.Frame], list[h2.events.Event]]:
        result = super()._receive_goaway_frame(frame)
        if frame.error_code == NO_ERROR:
            self.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        return result


class Http2Client:
    """A client by the `h2` package. It opens windows only as it is told to read."""

    def __init__(self, peer: Peer, *, scheme: str = "http") -> None:
        self.peer = peer
        self.scheme = scheme
        self.h2 = Patient(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.events: dict[int, deque[h2.events.Event]] = defaultdict(deque)
        self.data: dict[int, bytes] = defaultdict(bytes)
        self.gone: h2.events.ConnectionTerminated | None = None
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.acknowledges = True  # gives windows back for what has come

    async def begin(self, settings: Mapping[int, int] | None = None) -> None:
        """Send the preface, and wait for the proxy's settings and its ACK of ours."""
        if settings:
            self.h2.local_settings = h2.settings.Settings(
                client=True,
                initial_values={
                    h2.settings.SettingCodes(key): value
                    for key, value in settings.items()
                },
            )
        self.h2.initiate_connection()
        await self.flush()
        await self.next(0, h2.events.RemoteSettingsChanged)
        await self.next(0, h2.events.SettingsAcknowledged)

    async def flush(self) -> None:
        await self.peer.send(self.h2.data_to_send())

    async def pump(self) -> None:
        """Read once; what came is sorted by streams."""
        async with asyncio.timeout(GUARD):
            data = await self.peer.reader.read(65536)
        if not data:
            raise EOFError("the proxy has closed the connection")
        for event in self.h2.receive_data(data):
            self.take(event)
        if out := self.h2.data_to_send():
            self.peer.writer.write(out)

    def take(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", None) or 0
        if isinstance(event, h2.events.ConnectionTerminated):
            self.gone = event
            self.goaways.append(event)
        if isinstance(event, h2.events.DataReceived):
            assert event.data is not None
            self.data[number] += event.data
            if self.acknowledges and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            return
        self.events[number].append(event)

    async def next(self, number: int, kind: type[E]) -> E:
        """The next event of a kind on a stream; others before it are left out."""
        while True:
            events = self.events[number]
            while events:
                event = events.popleft()
                if isinstance(event, kind):
                    return event
            await self.pump()

    # -- requests

    async def ask(
        self,
        path: str,
        fields: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        end: bool = True,
        authority: str = "127.0.0.1",
    ) -> int:
        """Begin a request; the number of its stream."""
        number = self.h2.get_next_available_stream_id()
        head = [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", authority),
            (":path", path),
            *fields,
        ]
        self.h2.send_headers(number, head, end_stream=end)
        await self.flush()
        return number

    async def send(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send content as the windows allow."""
        while True:
            size = min(
                len(data),
                self.h2.local_flow_control_window(number),
                self.h2.max_outbound_frame_size,
            )
            if size or not data:
                last = size == len(data)
                self.h2.send_data(number, data[:size], end_stream=end and last)
                await self.flush()
                data = data[size:]
                if last:
                    return
            else:
                await self.pump()

    async def reset(self, number: int, code: int = CANCEL) -> None:
        self.h2.reset_stream(number, code)
        await self.flush()

    # -- responses

    async def head(self, number: int) -> dict[str, str]:
        """The fields of a final response, its status among them."""
        event = await self.next(number, h2.events.ResponseReceived)
        return fields_of(event.headers)

    async def read(self, number: int, count: int) -> bytes:
        """So many bytes of a body."""
        while len(self.data[number]) < count:
            await self.pump()
        data = self.data[number]
        self.data[number] = data[count:]
        return data[:count]

    async def body(self, number: int) -> bytes:
        """All that is left of a body, up to a clean end."""
        await self.next(number, h2.events.StreamEnded)
        return self.data.pop(number, b"")

    async def broken(self, number: int) -> int:
        """The code with which a stream is reset; it must not have ended before."""
        while True:
            for event in self.events[number]:
                assert not isinstance(event, h2.events.StreamEnded)
                if isinstance(event, h2.events.StreamReset):
                    assert event.error_code is not None
                    return int(event.error_code)
            await self.pump()

    async def get(
        self, path: str, fields: Iterable[tuple[str, str]] = ()
    ) -> tuple[dict[str, str], bytes]:
        """A whole exchange."""
        number = await self.ask(path, fields)
        head = await self.head(number)
        return head, await self.body(number)

    async def closed(self) -> None:
        """Wait until the proxy has closed."""
        try:
            while True:
                await self.pump()
        except (EOFError, ConnectionResetError):
            pass

    def abort(self) -> None:
        self.peer.writer.transport.abort()


class Http2Listener:
    """How a proxy listens for HTTP/2, and clients that connect to it.

    With an authority by TLS; without, in the clear by prior knowledge.
    """

    def __init__(self, authority: Authority | None) -> None:
        self.authority = authority
        self.scheme = "http" if authority is None else "https"

    @property
    def server(self) -> dict[str, object]:
        """The keys of [server]."""
        if self.authority is None:
            return {"http2_cleartext": True}
        return self.authority.server

    async def dial(
        self, running: RunningProxy, receive_bytes: int = 0, name: str = "127.0.0.1"
    ) -> Peer:
        """A connection, on which nothing is said yet."""
        context = self.authority.context() if self.authority is not None else None
        peer = await dial(running.port, context, receive_bytes, name)
        running.clients.append(peer)
        if self.authority is not None:
            assert agreed(peer) == "h2"
        return peer

    async def client(
        self,
        running: RunningProxy,
        settings: Mapping[int, int] | None = None,
        name: str = "127.0.0.1",
    ) -> Http2Client:
        """A client that has begun."""
        peer = await self.dial(running, name=name)
        client = Http2Client(peer, scheme=self.scheme)
        await client.begin(settings)
        return client

    async def frames(
        self, running: RunningProxy, settings: Mapping[int, int] | None = None
    ) -> FramePeer:
        """A raw client that has begun."""
        client = FramePeer(await self.dial(running), self.scheme)
        await client.begin(settings)
        return client


def fields_of(headers: Iterable[tuple[object, object]] | None) -> dict[str, str]:
    assert headers is not None
    return {str(name): str(value) for name, value in headers}


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    number: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        (code,) = NUMBER.unpack_from(self.payload, at)
        return int(code)

    @property
    def ends(self) -> bool:
        return bool(self.flags & END_STREAM) and self.kind in (DATA, HEADERS)


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame as bytes."""
    size = len(payload)
    return HEADER.pack(size >> 8, size & 0xFF, kind, flags, number) + payload


def settings(values: Mapping[int, int] | None = None) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(SETTING.pack(*each) for each in (values or {}).items())
    return frame(SETTINGS, 0, 0, payload)


class FramePeer:
    """A raw client, frame by frame."""

    def __init__(self, peer: Peer, scheme: str = "http") -> None:
        self.peer = peer
        self.scheme = scheme
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.kept: deque[Frame] = deque()

    async def begin(self, values: Mapping[int, int] | None = None) -> None:
        """Preface and settings; the proxy's, and both ACKs."""
        await self.peer.send(PREFACE + settings(values) + frame(SETTINGS, ACK, 0))
        while (await self.read()) != Frame(SETTINGS, ACK, 0, b""):
            pass

    async def send(
        self, kind: int, flags: int, number: int, payload: bytes = b""
    ) -> None:
        await self.peer.send(frame(kind, flags, number, payload))

    def block(
        self, path: str, fields: Iterable[tuple[str, str]] = (), method: str = "GET"
    ) -> bytes:
        """The header block of a request."""
        head = [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", "127.0.0.1"),
            (":path", path),
            *fields,
        ]
        return bytes(self.encoder.encode(head))

    def request(
        self,
        number: int,
        path: str = "/x",
        fields: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        end: bool = True,
    ) -> bytes:
        """A HEADERS frame."""
        block = self.block(path, fields, method)
        return frame(HEADERS, END_HEADERS | END_STREAM * end, number, block)

    async def read(self) -> Frame:
        """The next frame."""
        high, low, kind, flags, number = HEADER.unpack(await self.peer.read(9))
        return Frame(kind, flags, number, await self.peer.read(high << 8 | low))

    async def next(self, kind: int, number: int = 0) -> Frame:
        """The next frame of a kind and a stream; others are kept for later."""
        for each in self.kept:
            if each.kind == kind and each.number == number:
                self.kept.remove(each)
                return each
        while True:
            each = await self.read()
            if each.kind == kind and each.number == number:
                return each
            self.kept.append(each)

    async def next_data(self) -> Frame:
        """The next DATA frame of any stream."""
        while True:
            each = await self.read()
            if each.kind == DATA:
                return each
            self.kept.append(each)

    async def head(self, number: int) -> dict[str, str]:
        """The fields of the next HEADERS of a stream; to be read as they come."""
        found = await self.next(HEADERS, number)
        return fields_of(self.decoder.decode(found.payload))

    async def open_window(self, number: int, size: int) -> None:
        await self.send(WINDOW_UPDATE, 0, number, NUMBER.pack(size))
