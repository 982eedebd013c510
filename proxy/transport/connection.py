"""What both ends of an exchange share: pieces in, pieces out, flow control.

A connection is a source and a sink at once. As a source it reads one body at
a time and hands each piece to a `Receiver` in the call in which the bytes came
in. As a sink it frames pieces and tells its feeder when its peer does not
keep up. Knows nothing of routes or fields.

An exception that leaves a callback of the loop is lost on whoever waits: some loops
close the connection then, some only log it. So each callback here and below catches
what it did not expect, and `crashed` ends what it was for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from abc import abstractmethod
from typing import ClassVar, cast

from proxy.errors import MalformedRequest, MalformedResponse, ProxyError
from proxy.http1.chunked import CHUNKS_AT_ONCE, ChunkedBody, chunk, last_chunk
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.transport.flow import Feeder, Receiver

# Bytes that may wait in the proxy for a peer that reads slowly, before the
# other side is no longer read. asyncio's own default, made explicit; a route
# may say otherwise for its bodies (max_buffer_bytes).
HIGH_WATER = 64 * 1024
# A piece of at least this size is written beside its chunk frame instead of
# being copied into it.
COPY_LIMIT = 16 * 1024
# A turn of the loop belongs to all connections. Of a read beyond LONG_READ no more
# than so many chunks are taken in it; a short one has no more. After FULL_READ there
# may be more to read in the same turn (uvloop asks up to 32 times, for 256 KB each):
# not before the others have had theirs.
LONG_READ = 16 * 1024  # bytes
FULL_READ = 128 * 1024  # bytes
FULL_READS = 4  # in a turn; 1 MB, below 1 ms. Each pause costs 20 µs
# Pipelined heads that are read in one turn: one that is answered at once costs 100 µs.
HEADS_A_TURN = 16
HEAD_SHARE = 4096  # bytes; a head counts once more for each time it has so many
# macOS and Windows name fewer.
PROBES = tuple(
    (int(getattr(socket, name)), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
)
INTERNET = (socket.AF_INET, socket.AF_INET6)
# Linux gives all of that from a socket that listens to those that it accepts: four
# system calls and as many sockets of Python's less for each client.
INHERITS = sys.platform == "linux"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Connection(asyncio.Protocol):
    """One TCP connection (or Unix socket), to a client or to an upstream."""

    __slots__ = (
        "ahead",
        "blocked",
        "body",
        "body_hint",
        "buffer_bytes",
        "chunked",
        "closed",
        "feeder",
        "full_reads",
        "gathers",
        "head",
        "left",
        "paused",
        "receiver",
        "resting",
        "transport",
    )

    side: ClassVar[str] = ""  # of whose body it is the source: request, response

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set in connection_made
        self.closed = False
        # source
        self.body: Body | None = None
        self.body_hint = ""  # what to do about a body that cannot be read
        # Bytes read but not yet used. Of a head that is not complete a bytearray: what
        # comes byte by byte is appended, not copied together once for each.
        self.ahead: bytes | bytearray = b""
        self.receiver: Receiver | None = None
        self.paused = False
        self.resting = False  # until the next turn of the loop
        self.left = b""  # of a body, for that turn
        self.full_reads = 0  # since the last pause
        # sink
        self.feeder: Feeder | None = None
        self.blocked = False
        self.chunked = False
        self.head = b""  # written, together with the first piece of its body
        self.gathers = False  # can the transport write several buffers at once?
        self.buffer_bytes = HIGH_WATER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop. TCP_NODELAY is set by asyncio and by uvloop."""
        # uvloop's transports have the methods without the base class.
        self.transport = cast("asyncio.Transport", transport)
        # asyncio's own writelines copies as well, or from Python 3.12 on does not
        # say that the peer is slow (CVE-2024-12254) and writes to lost sockets.
        self.gathers = not isinstance(transport, asyncio.Transport)

    # -- source

    def feed_body(self, data: bytes) -> None:
        """Hand the payload in `data` on."""
        body, receiver = self.body, self.receiver
        assert body is not None
        assert receiver is not None
        if len(data) > LONG_READ:
            payload = self.feed_long(body, data)
        else:
            payload = body.feed(data)
        if payload:
            receiver.piece(payload)
        if body.error is not None:
            self.receiver = None
            receiver.broken(self.body_fault(body.error))
        elif body.complete:
            # Both before the end is told: it may hand this connection on.
            self.receiver = None
            self.ahead = body.excess
            receiver.end(body.trailers)

    def feed_long(self, body: Body, data: bytes) -> bytes:
        """The payload in `data`, as far as a turn of the loop has time for it."""
        if isinstance(body, ChunkedBody):
            payload = body.feed(data, CHUNKS_AT_ONCE)
            if not body.complete and body.error is None:
                self.left, body.excess = body.excess, b""
        else:
            payload = body.feed(data)
        if self.left:
            self.full_reads = 0
            self.rest()
        else:
            self.count_read(data)
        return payload

    def count_read(self, data: bytes) -> None:
        """Rest after so many full reads."""
        if len(data) >= FULL_READ:
            self.full_reads += 1
            if self.full_reads >= FULL_READS:
                self.full_reads = 0
                self.rest()

    def rest(self) -> None:
        """Give the loop back; what is left of this turn's work is for the next one."""
        if not self.resting:
            self.resting = True
            if not self.paused and not self.closed and not self.transport.is_closing():
                self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.rested)

    def rested(self) -> None:
        """The turn after one that was used up. Called by the loop."""
        self.resting = False
        try:
            self.go_on()
            if (
                not self.resting
                and not self.paused
                and not self.closed
                and not self.transport.is_closing()
            ):
                self.transport.resume_reading()
        except Exception as error:
            self.crashed("work deferred to the next turn of the event loop", error)

    def go_on(self) -> None:
        """Do what was left for this turn; what nobody wants any more is dropped."""
        if self.paused and self.receiver is not None:
            return  # until `resume_reading`
        data, self.left = self.left, b""
        if data and self.receiver is not None:
            self.feed_body(data)

    def body_fault(self, reason: str) -> ProxyError:
        """The failure that a fault in the framing is on this side."""
        error = MalformedRequest if self.side == "request" else MalformedResponse
        return error(f"malformed {self.side} body: {reason}{self.body_hint}")

    def pause_reading(self) -> None:
        """Take no more bytes from the peer for now."""
        if not self.paused and not self.closed:
            self.paused = True
            if not self.resting:
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self.paused:
            self.paused = False
            if self.left:
                self.rest()
            elif (
                not self.resting and not self.closed and not self.transport.is_closing()
            ):
                self.transport.resume_reading()

    # -- sink

    def limit_buffer(self, size: int) -> None:
        """How many bytes may wait for the peer before the feeder is told."""
        if size != self.buffer_bytes:
            self.buffer_bytes = size
            self.transport.set_write_buffer_limits(high=size)

    def write_head(self, head: bytes, *, chunked: bool) -> None:
        """Have a head written, and say how the pieces of its body are framed.

        It goes out with the first piece, if that comes in the same call, or by
        `flush_head`, which the caller owes: one write and one packet for a
        small message.
        """
        self.chunked = chunked
        self.head = head

    def flush_head(self) -> None:
        """Let the head go out alone, if it has not gone out yet."""
        head = self.head
        if head:
            self.head = b""
            if not self.closed:
                self.transport.write(head)

    def send_piece(self, piece: bytes) -> None:
        """Write one piece of the body, framed; never empty.

        To a peer that is gone nothing is written: loops differ in what they make of
        that, and its exchange hears of it all the same.
        """
        if self.closed:
            return
        if self.head:
            self.send_first(piece)
        elif not self.chunked:
            self.transport.write(piece)
        elif len(piece) < COPY_LIMIT or not self.gathers:
            self.transport.write(chunk(piece))
        else:
            self.transport.writelines([b"%x\r\n" % len(piece), piece, b"\r\n"])

    def send_first(self, piece: bytes) -> None:
        """Write the head and the first piece of its body."""
        head, self.head = self.head, b""
        framed = chunk(piece) if self.chunked else piece
        if len(piece) < COPY_LIMIT or not self.gathers:
            self.transport.write(head + framed)
        else:
            self.transport.writelines([head, framed])

    def send_end(self, trailers: Fields) -> None:
        """End the body."""
        if self.chunked and not self.closed:
            head, self.head = self.head, b""
            self.transport.write(head + last_chunk(trailers))

    def pause_writing(self) -> None:
        """Called by the loop: more bytes wait than may."""
        try:
            self.peer_blocked()
        except Exception as error:
            # In a turn of its own: a piece is being written at the moment.
            place = "pausing writes"
            asyncio.get_running_loop().call_soon(self.crashed, place, error)

    def resume_writing(self) -> None:
        """Called by the loop: the peer has read on."""
        try:
            self.peer_ready()
        except Exception as error:
            self.crashed("resuming writes", error)

    def peer_blocked(self) -> None:
        """The peer does not read what waits for it."""
        self.blocked = True
        if self.feeder is not None:
            self.feeder.sink_blocked()

    def peer_ready(self) -> None:
        """The peer has read on."""
        self.blocked = False
        if self.feeder is not None:
            self.feeder.sink_ready()

    # -- as an end of a tunnel

    @property
    def is_closing(self) -> bool:
        return self.closed or self.transport.is_closing()

    @property
    def half_closes(self) -> bool:
        return self.transport.can_write_eof()

    # -- what nobody expected

    @abstractmethod
    def crashed(self, place: str, error: Exception) -> None:
        """Code that ran for this connection raised: report it, end its exchange."""

    # -- closing

    def send_fin(self) -> None:
        """End this direction, after all that was written."""
        try:
            self.transport.write_eof()
        except OSError:  # reset by the peer, which the loop has yet to tell
            self.abort()

    def abort(self) -> None:
        """Close at once; bytes that wait are dropped."""
        if not self.closed:
            self.transport.abort()

    def reset_on_close(self) -> None:
        """Make the coming close a reset, for a body whose end is the close."""
        reset_on_close(self.transport)


def reset_on_close(transport: asyncio.Transport) -> None:
    """Make the coming close a reset."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def joined(begun: bytes | bytearray, data: bytes) -> bytes | bytearray:
    """What has begun, with what comes after it: a bytearray is added to in place."""
    if isinstance(begun, bytearray):
        begun += data
        return begun
    return begun + data


def keep_alive_probes(transport: asyncio.Transport) -> None:
    """Have the kernel find a peer that vanished: see `probe`."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or sock.family not in INTERNET:
        return
    # uvloop makes a socket of its own for each option; here it is one for all of them.
    what = sock.family, sock.type, sock.proto, sock.fileno()
    with contextlib.suppress(OSError):  # macOS: the peer has reset it already
        plain = socket.socket(*what)
        try:
            probe(plain)
        finally:
            plain.detach()


def probe(sock: socket.socket) -> None:
    """Have the kernel find a peer that vanished without a word (RFC 9293 §3.8.4).

    60 s of silence, then 4 probes 15 s apart: gone within two minutes, however
    long a stream may rightly be silent. Of a socket that listens: see `INHERITS`.
    """
    if sock.family in INTERNET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in PROBES:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
