"""One port for several sockets of this program, and for no other program.

On Linux two sockets may listen on overlapping addresses (127.0.0.1 is a part of
0.0.0.0) only if both say SO_REUSEPORT, and only for the same user. Workers need that
for as long as they listen; a reload that changes the host, for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

# Family, host, and what an IPv6 address has besides its port.
Address: TypeAlias = tuple[socket.AddressFamily, str, tuple[int, ...]]

# Addresses for documentation (RFC 5737, RFC 3849), which no machine has, and the
# option with which one that a machine has not can be bound (linux/in.h, in6.h).
IP_FREEBIND, IPV6_FREEBIND = 15, 78
NOWHERE: tuple[tuple[Address, int, int], ...] = (
    ((socket.AF_INET, "192.0.2.1", ()), socket.IPPROTO_IP, IP_FREEBIND),
    ((socket.AF_INET6, "2001:db8::1", (0, 0)), socket.IPPROTO_IPV6, IPV6_FREEBIND),
)
# Linux: a filter of a socket (BPF) that lets all pass but a SYN without ACK. It sees
# the TCP header, in which byte 13 has the flags.
SO_ATTACH_FILTER = 26
NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte
    (0x54, 0, 0, 0x12),  # of it, ACK and SYN
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)

CAN_SHARE = hasattr(socket, "SO_REUSEPORT")  # Windows cannot


class Listening(Protocol):
    """A socket that listens, or what a loop shows of it."""

    @property
    def family(self) -> int:
        """Of its address."""

    @property
    def type(self) -> int:
        """Of streams."""

    def fileno(self) -> int:
        """Its descriptor."""


def share(sockets: Sequence[Listening], *, shared: bool) -> None:
    """Let other sockets of this user listen on the same addresses, or no longer."""
    for each in sockets:
        with socket.fromfd(each.fileno(), each.family, each.type) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))


@contextlib.contextmanager
def shared(sockets: Sequence[Listening]) -> Iterator[None]:
    """Share what listens already, as long as this lasts."""
    share(sockets, shared=True)
    try:
        yield
    finally:
        share(sockets, shared=False)


def same(one: Listening, other: Listening) -> bool:
    """Are both the same socket of the kernel?"""
    try:
        return os.fstat(one.fileno()).st_ino == os.fstat(other.fileno()).st_ino
    except OSError:  # Windows, where a socket is no file
        return False


def take_no_more(listening: Listening) -> None:
    """Ignore those that begin to connect; best effort, on Linux.

    A socket that is closed resets who is about to be accepted. Who is ignored tries
    again in a second, and meets the socket that listens there by then.
    """
    if sys.platform != "linux":
        return
    code = array("B", b"".join(struct.pack("=HBBI", *line) for line in NO_SYN))
    program = struct.pack("HP", len(NO_SYN), code.buffer_info()[0])
    what = listening.fileno(), listening.family, listening.type
    with contextlib.suppress(OSError), socket.fromfd(*what) as twin:
        twin.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def forget_sharing(port: int) -> None:
    """Have the kernel compare the next one that binds with all sockets of a port.

    Linux does not look at them if the next one shares, and has the address of the
    last one that was bound so (inet_csk_get_port, sk_reuseport_match). So the last
    one gets an address that nobody can use. There is one for each family: for an
    address of the same family as `0.0.0.0` or `::`, which contains it, the kernel
    keeps the wider one. Best effort; elsewhere the guards alone have to do.
    """
    if sys.platform != "linux":
        return
    for address, level, option in NOWHERE:
        with contextlib.suppress(OSError):
            sock = opened(address, share=True)
            with sock:
                sock.setsockopt(level, option, 1)
                sock.bind((address[1], port, *address[2]))


def bound(address: Address, port: int, *, share: bool) -> socket.socket:
    """A socket that is bound, as the loop would bind it."""
    _, host, scope = address
    sock = opened(address, share=share)
    try:
        sock.bind((host, port, *scope))
    except BaseException:
        sock.close()
        raise
    return sock


def opened(address: Address, *, share: bool) -> socket.socket:
    """A socket for an address, with the options that count when it is bound."""
    family, _, _ = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    # Connections of the last run that still wait for their end do not count.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def port_of(servers: Sequence[asyncio.Server]) -> int:
    """The port of the first socket, while it is open."""
    port: int = servers[0].sockets[0].getsockname()[1]
    return port


def sockets_of(servers: Sequence[asyncio.Server]) -> list[Listening]:
    """What servers accept from."""
    return [each for server in servers for each in server.sockets]
