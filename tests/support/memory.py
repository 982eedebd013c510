"""A proxy without sockets: bytes in by a call, bytes out in a buffer.

The same code as over sockets, from the client's protocol to the upstream's.
What a peer sends can be cut at any place, thousands of times a second.
"""

from __future__ import annotations

import asyncio
from typing import cast

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.exchange.record_tap import TapeMaker
from proxy.server.server import Server
from proxy.timeline import Clock, Timeline, monotonic
from proxy.transport.client_connection import ClientConnection
from proxy.transport.connection import Connection

CONFIG = Config(
    routes={"/": Route(prefix="/", targets=(parse_target("http://127.0.0.1:1"),))}
)
CONNECTIONS = 4  # to the upstream, ready for use


class MemoryTransport:
    """What a connection writes to, and how it was closed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.written = b""
        self.finished = False  # our FIN was sent
        self.closed = False
        connection.connection_made(cast("asyncio.Transport", self))

    # -- the transport, as far as the proxy uses it

    def write(self, data: bytes) -> None:
        assert not self.finished, "written after the end"
        if not self.closed:
            self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        self.finished = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 50000) if name == "peername" else default

    def pause_reading(self) -> None:
        """Nothing is paused: nobody here is slow."""

    def resume_reading(self) -> None:
        """See `pause_reading`."""

    # -- the peer

    def receive(self, data: bytes) -> None:
        """The peer has sent bytes."""
        if data and not self.closed:
            self.connection.data_received(data)

    def end(self, fault: Exception | None) -> None:
        """The peer has closed, by FIN or, with a fault, by a reset."""
        if self.closed:
            return
        if fault is None and self.connection.eof_received():
            return
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(fault)


class MemoryProxy:
    """One client, and an upstream with a few connections."""

    def __init__(
        self,
        config: Config = CONFIG,
        clock: Clock = monotonic,
        tapes: TapeMaker | None = None,
    ) -> None:
        self.timelines: list[Timeline] = []
        self.server = Server(
            config, observers=[self.timelines.append], clock=clock, tapes=tapes
        )
        self.connect()

    def connect(self) -> None:
        """Let a client and connections to the upstream be there."""
        self.client = MemoryTransport(self.server.listeners.accept())
        self.upstreams: list[MemoryTransport] = []
        for upstream in self.server.compiled.upstreams:
            for _ in range(CONNECTIONS):
                connection = upstream.connection()
                self.upstreams.append(MemoryTransport(connection))
                upstream.keep(connection)
        self.upstreams.reverse()  # the one used last is taken first

    @property
    def client_connection(self) -> ClientConnection:
        return cast("ClientConnection", self.client.connection)

    @property
    def open_upstreams(self) -> list[MemoryTransport]:
        """Upstream connections that are neither closed nor idle."""
        return [each for each in self.upstreams if each.written and not each.closed]

    def begin_again(self) -> None:
        """Close all connections, and let there be new ones: a proxy costs 1 ms."""
        self.client.close()
        for each in self.upstreams:
            each.close()
        assert not self.server.clients
        assert self.server.under_way == 0
        assert not any(upstream.idle for upstream in self.server.compiled.upstreams)
        self.timelines.clear()
        self.connect()

    def stop(self) -> None:
        """Forget all that would act later."""
        self.client.close()
        self.server.compiled.close()
        self.server.ticker.stop()


def whole_requests(data: bytes) -> list[bytes]:
    """The complete requests that the proxy wrote, a chunked body as its content.

    Strict: what is not exactly as the proxy writes it fails an assertion.
    """
    requests = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            break
        fields = {
            line.partition(b": ")[0].lower(): line.partition(b": ")[2]
            for line in head.split(b"\r\n")[1:]
        }
        if b"transfer-encoding" in fields:
            assert fields[b"transfer-encoding"] == b"chunked"
            assert b"content-length" not in fields
            body, complete, _, rest = unchunked(rest)
            if not complete:
                break
        else:
            size = int(fields.get(b"content-length", b"0"))
            if len(rest) < size:
                break
            body, rest = rest[:size], rest[size:]
        requests.append(head + end + body)
        data = rest
    return requests


def unchunked(data: bytes) -> tuple[bytes, bool, bytes, bytes]:
    """Content, whether it is complete, the trailer section, and what follows."""
    content = b""
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            return content, False, b"", b""
        count = int(size, 16)
        assert size == b"%x" % count
        if not count:
            if rest.startswith(b"\r\n"):
                return content, True, b"", rest[2:]
            trailers, end, rest = rest.partition(b"\r\n\r\n")
            return content, bool(end), trailers, rest
        if len(rest) < count + 2:
            return content + rest[:count], False, b"", b""
        assert rest[count : count + 2] == b"\r\n"
        content += rest[:count]
        data = rest[count + 2 :]


def joined(responses: bytes) -> bytes:
    """Responses with each chunked body as one: `<content>`, without `>` if cut."""
    mark = b"\r\nTransfer-Encoding: chunked\r\n"
    before, found, after = responses.partition(mark)
    if not found:
        return responses
    rest_of_head, _, body = after.partition(
        b"\r\n\r\n" if after[:2] != b"\r\n" else b"\r\n"
    )
    content, complete, trailers, following = unchunked(body)
    end = b">" + trailers if complete else b""
    return before + found + rest_of_head + b"<" + content + end + joined(following)
