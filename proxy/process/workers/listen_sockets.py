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
import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from proxy.server.listener import BACKLOG, Settings, addresses
from proxy.server.port_sharing import Address, bound, forget_sharing


class SharedPort:
    """The listening sockets of all workers. `of(number)` is what one accepts from.

    `before` may be in its way, if it has the same port: it lets this one in. `given`
    sockets listen already, and all workers accept from each of them.

    Raises:
        OSError: the address is in use or not ours.
    """

    def __init__(
        self,
        settings: Settings,
        workers: int,
        before: SharedPort | None = None,
        given: Sequence[socket.socket] = (),
    ) -> None:
        self.groups: list[list[socket.socket]] = []  # one for each address
        self.guards: list[Guard] = []
        if given:
            self.groups = [[each.dup() for _ in range(workers)] for each in given]
            for each in given:
                each.close()
            return
        if before is not None and before.port != settings.port:
            before = None
        try:
            with contextlib.nullcontext() if before is None else before.ajar():
                self.listen(settings, workers, beside=before is not None)
            for guard in self.guards:
                guard.shut()
        except BaseException:
            self.close()
            raise

    def listen(self, settings: Settings, workers: int, *, beside: bool) -> None:
        """Bind and listen; `beside` what has the port already and lets this one in."""
        port = settings.port
        for address in addresses(settings.host):
            try:
                group, guard = bind_group(address, port, workers)
            except OSError as fault:
                if not beside or fault.errno != errno.EADDRINUSE:
                    raise
                group, guard = bind_group(address, port, workers, share=True)
            self.groups.append(group)
            self.guards.append(guard)
            port = self.port
        forget_sharing(port)

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        port: int = self.groups[0][0].getsockname()[1]
        return port

    def of(self, number: int) -> list[socket.socket]:
        """What one worker accepts from."""
        return [group[number] for group in self.groups]

    @contextlib.contextmanager
    def ajar(self) -> Iterator[None]:
        """Let sockets in that share the port too, for as long as this lasts."""
        for guard in self.guards:
            guard.open()
        try:
            yield
        finally:
            for guard in self.guards:
                guard.shut()

    def leave(self, number: int) -> None:
        """In a worker: close what is not its own."""
        for guard in self.guards:
            guard.close()
        for group in self.groups:
            for other, each in enumerate(group):
                if other != number:
                    each.close()

    def give_up(self, number: int) -> None:
        """Have nobody wait in the queue of a worker that is gone and not replaced."""
        for group in self.groups:
            group[number].close()

    def close(self) -> None:
        """Let go of the port, here; what workers inherited is theirs."""
        for group in self.groups:
            for each in group:
                each.close()
        for guard in self.guards:
            guard.close()


Group: TypeAlias = tuple[list[socket.socket], "Guard"]


def bind_group(
    address: Address, port: int, count: int, *, share: bool = False
) -> Group:
    """`count` sockets that listen on one address, and the guard of it."""
    guard = Guard(address, port, share=share)
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
    offer to share (with `share` it does until it is shut, and finds out only about
    those that do not). Shut, it is in the way of whoever binds later: two sockets may
    have one address only if both say SO_REUSEADDR, or both SO_REUSEPORT.
    """

    def __init__(self, address: Address, port: int, *, share: bool) -> None:
        self.address = address
        self.sock = bound(address, port, share=share)
        self.port: int = self.sock.getsockname()[1]

    def shut(self) -> None:
        """Let nobody else in, once all sockets of the port listen."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def open(self) -> None:
        """Let those in that share the port, until it is shut again."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def close(self) -> None:
        """Let go of the address."""
        self.sock.close()


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
