"""A port for several processes: bound once, by the supervisor, which keeps it.

Theory: with SO_REUSEPORT the kernel spreads new connections over all sockets
that listen on a port. Each has a queue of its own, and what waits in it is
reset when the socket is closed by the last process that has it.
Practice: so there is one socket for each worker, and all of them are made and
kept by the supervisor; workers inherit theirs. A worker that dies leaves its
queue to the one that takes its place, and no worker ever binds anything.
(net.ipv4.tcp_migrate_req would move a queue to another socket; it is off
unless an administrator turns it on.) One socket for all would lose nothing
either, but wakes every worker for every connection and spreads them unevenly,
which streams do not make up for as short requests do.

SO_REUSEPORT also lets any program of the same user join, unnoticed. Who comes
first is found out by binding without it; later ones are kept out by `Guard`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from typing import TypeAlias

from proxy.config.model import Server as Settings
from proxy.listener import BACKLOG, hosts

# Family, host, and what an IPv6 address has besides its port.
Address: TypeAlias = tuple[socket.AddressFamily, str, tuple[int, ...]]

# Addresses for documentation (RFC 5737, RFC 3849), which no machine has, and the
# option with which one that a machine has not can be bound (linux/in.h, in6.h).
IP_FREEBIND, IPV6_FREEBIND = 15, 78
NOWHERE: tuple[tuple[Address, int, int], ...] = (
    ((socket.AF_INET, "192.0.2.1", ()), socket.IPPROTO_IP, IP_FREEBIND),
    ((socket.AF_INET6, "2001:db8::1", (0, 0)), socket.IPPROTO_IPV6, IPV6_FREEBIND),
)


class SharedPort:
    """The listening sockets of all workers. `of(number)` is what one accepts from.

    Raises:
        OSError: the address is in use or not ours.
    """

    def __init__(self, settings: Settings, workers: int) -> None:
        self.groups: list[list[socket.socket]] = []  # one for each address
        self.guards: list[Guard] = []
        try:
            port = settings.port
            for address in addresses(settings.host):
                group, guard = bind_group(address, port, workers)
                self.groups.append(group)
                self.guards.append(guard)
                port = self.port
            forget_sharing(self.port)
            for guard in self.guards:
                guard.shut()
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        port: int = self.groups[0][0].getsockname()[1]
        return port

    def of(self, number: int) -> list[socket.socket]:
        """What one worker accepts from."""
        return [group[number] for group in self.groups]

    def leave(self, number: int) -> None:
        """In a worker: close what is not its own."""
        for guard in self.guards:
            guard.close()
        for group in self.groups:
            for other, each in enumerate(group):
                if other != number:
                    each.close()

    def close(self) -> None:
        """Let go of the port, here; what workers inherited is theirs."""
        for group in self.groups:
            for each in group:
                each.close()
        for guard in self.guards:
            guard.close()


def addresses(host: str) -> list[Address]:
    """What a host to listen on stands for, each once and in order."""
    found = [
        each
        for name in hosts(host)
        for each in socket.getaddrinfo(
            name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    ]
    return list(
        dict.fromkeys(
            (family, str(where[0]), tuple(map(int, where[2:])))
            for family, *_, where in found
        )
    )


def bind_group(
    address: Address, port: int, count: int
) -> tuple[list[socket.socket], Guard]:
    """`count` sockets that listen on one address, and the guard of it."""
    guard = Guard(address, port)
    group: list[socket.socket] = []
    try:
        for _ in range(count):
            group.append(bound(address, guard.port, share=True))
        for each in group:
            each.listen(BACKLOG)
    except BaseException:
        guard.close()
        for each in group:
            each.close()
        raise
    return group, guard


class Guard:
    """A socket that is bound where the workers listen, and never listens.

    Made first, it finds out whether anybody listens there, since it does not
    offer to share. Shut, it is in the way of whoever binds later: two sockets may
    have one address only if both say SO_REUSEADDR, or both SO_REUSEPORT.
    """

    def __init__(self, address: Address, port: int) -> None:
        self.address = address
        self.sock = bound(address, port, share=False)
        self.port: int = self.sock.getsockname()[1]

    def shut(self) -> None:
        """Let nobody else in, once all sockets of the port listen."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def close(self) -> None:
        """Let go of the address."""
        self.sock.close()


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


class PrivateSockets:
    """Unix sockets that listen, one for each worker, in a folder of their own.

    Raises:
        OSError: there is no place for them.
    """

    def __init__(self, workers: int) -> None:
        self.folder = tempfile.mkdtemp(prefix="unbuffered-")  # its owner's alone
        self.paths = tuple(
            os.path.join(self.folder, f"{number}.sock") for number in range(workers)
        )
        self.sockets: list[socket.socket] = []
        try:
            for path in self.paths:
                self.sockets.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                self.sockets[-1].bind(path)
                os.chmod(path, 0o600)
                self.sockets[-1].listen(BACKLOG)
        except BaseException:
            self.remove()
            raise

    def leave(self, number: int) -> None:
        """In a worker: close what is not its own."""
        for other, each in enumerate(self.sockets):
            if other != number:
                each.close()

    def remove(self) -> None:
        """Nobody is to be found there any more."""
        for each in self.sockets:
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)
