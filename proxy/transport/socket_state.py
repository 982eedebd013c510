"""What the kernel knows of a peer and the event loop does not tell.

A connection whose reading is paused (the other side is slow) shows neither
FIN nor reset. One that broke while it was written to is not read any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct

# linux/tcp_states.h. CLOSE_WAIT: the peer has sent FIN.
CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING = 7, 8, 9, 11
GONE = frozenset({CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING})

# Of struct tcp_info (linux/tcp.h): tcpi_unacked, tcpi_bytes_acked, tcpi_notsent_bytes.
TCP_INFO_BYTES = 148
UNACKED, BYTES_ACKED, NOT_SENT = 24, 120, 144

READ_SIZE = 256 * 1024  # bytes, as the event loops


def has_left(transport: asyncio.Transport) -> bool:
    """True if the kernel has seen the peer's FIN or reset.

    False where it cannot be asked (not Linux, no TCP): then the peer's leaving
    is noticed when reading goes on.
    """
    option = getattr(socket, "TCP_INFO", None)
    sock: socket.socket | None = transport.get_extra_info("socket")
    if option is None or sock is None:
        return False
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, option, 1)
    except OSError:  # no TCP
        return False
    return isinstance(state, bytes) and state[0] in GONE


def taken(transport: asyncio.Transport) -> tuple[int, bool]:
    """How many bytes the peer's kernel has taken in all; does ours keep more for it?

    A transport of TLS does not count what waits in the transport below it. As long
    as any waits there, it waits in the kernel too. (0, False) where the kernel
    cannot be asked.
    """
    option = getattr(socket, "TCP_INFO", None)
    sock: socket.socket | None = transport.get_extra_info("socket")
    if option is None or sock is None:
        return 0, False
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, TCP_INFO_BYTES)
    except OSError:  # no TCP, or closed
        return 0, False
    if len(info) < TCP_INFO_BYTES:  # Linux before 4.6, or another system
        return 0, False
    (acked,) = struct.unpack_from("=Q", info, BYTES_ACKED)
    (unacked,) = struct.unpack_from("=I", info, UNACKED)
    (not_sent,) = struct.unpack_from("=I", info, NOT_SENT)
    return int(acked), unacked > 0 or not_sent > 0


def unsent(transport: asyncio.Transport) -> tuple[bool, int]:
    """Do bytes wait for the peer? And a number: while it is the same, none went.

    The number is how many wait; by TLS, which counts only some of them, how many
    the peer has taken, as a negative number.
    """
    waiting = transport.get_write_buffer_size()
    if transport.can_write_eof():
        return waiting > 0, waiting
    acked, more = taken(transport)
    return more or waiting > 0, -acked or waiting


class SocketState:
    """Tells whether there is anything to read: a byte, a FIN or a reset.

    Asked of a connection that is to serve again, in the turn in which the loop
    may have its end still before it. Not to be asked of a closed one.
    """

    __slots__ = ("poll",)

    def __init__(self, transport: asyncio.Transport) -> None:
        sock: socket.socket | None = transport.get_extra_info("socket")
        self.poll = None
        if sock is not None and hasattr(select, "poll"):  # Windows has none
            self.poll = select.poll()
            self.poll.register(sock.fileno(), select.POLLIN)

    @property
    def quiet(self) -> bool:
        """Nothing to read."""
        return self.poll is None or not self.poll.poll(0)


class UnreadBytes:
    """What had arrived before a connection broke, to be read little by little.

    An upstream that refuses an upload answers and closes on unread bytes. The
    reset meets the next write, and the answer before it would never be read. It may
    be as long as the kernel's receive buffer, which keeps it until the client takes
    it: so the socket stays open here, after the loop has closed its own.
    """

    __slots__ = ("first", "sock")

    def __init__(self, first: bytes, sock: socket.socket | None) -> None:
        self.first = first
        self.sock = sock

    def read(self) -> bytes:
        """The next bytes, up to READ_SIZE; none once all are read."""
        data, self.first = self.first, b""
        if not data and self.sock is not None:
            with contextlib.suppress(OSError):  # nothing, or the reset itself
                data = self.sock.recv(READ_SIZE)
        return data

    def close(self) -> None:
        """Let go of what nobody has read."""
        self.first = b""
        if self.sock is not None:
            self.sock.close()


def remains(transport: asyncio.Transport) -> UnreadBytes | None:
    """What a connection that broke has left to read; to be asked while it closes.

    Of TLS nothing: what is left belongs to the loop, which has thrown it away.
    """
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("ssl_object") is not None:
        return None
    try:
        first = os.read(sock.fileno(), READ_SIZE)
    except OSError:  # nothing
        return None
    if not first:
        return None
    try:
        twin = socket.fromfd(sock.fileno(), sock.family, sock.type)
        twin.setblocking(False)
    except OSError:  # no descriptor for it
        return UnreadBytes(first, None)
    return UnreadBytes(first, twin)


def how_it_closed(fault: Exception | None) -> str:
    """The end of a connection in words: by FIN, by reset, or by nobody."""
    if fault is None:
        return "closed"
    if isinstance(fault, ConnectionResetError | BrokenPipeError):
        return "reset the connection"
    if isinstance(fault, TimeoutError):  # of the kernel's probes
        return "stopped responding (TCP keepalive timed out)"
    if isinstance(fault, OSError):
        return f"closed the connection with an error ({fault.strerror or fault})"
    return f"closed the connection with an error ({fault})"
