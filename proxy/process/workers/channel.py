"""What a supervisor and a worker say to each other, over a pair of sockets.

Orders go to the worker, reports come back; each is one object, in a frame of
its length. Only a process and its own fork hold the two ends, so what arrives
is what was sent. An end that is closed tells the other that its process is
gone, however it went.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from proxy.config.model import Config

# A process that takes nothing for so long has stopped working.
SEND_SECONDS = 5.0
READ_BYTES = 64 * 1024
MAX_SOCKETS = 64  # in one frame: the addresses that a host to listen on may have
LENGTH = struct.Struct("!IB")  # of what follows; how many sockets come with it


@dataclass(frozen=True, slots=True)
class Reload:
    """Serve by another configuration; sockets come with it if its address is new."""

    config: Config


@dataclass(frozen=True, slots=True)
class Moved:
    """All serve at the new address: accept no longer at the one before."""


@dataclass(frozen=True, slots=True)
class Retired:
    """It accepts no longer at the address before."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Be not ready any more. The drain begins after so many seconds, by `Stop`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain, then end."""


@dataclass(frozen=True, slots=True)
class Cut:
    """End at once."""


@dataclass(frozen=True, slots=True)
class Serving:
    """It accepts connections."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not start."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """It serves by the new configuration; by the old one, if there are faults."""

    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReloadEnded:
    """How the reload went in all; when one last succeeded. For the metrics."""

    succeeded: bool
    at: float


@dataclass(frozen=True, slots=True)
class DrainStarted:
    """The drain has begun with so many exchanges under way."""

    exchanges: int


@dataclass(frozen=True, slots=True)
class DrainEnded:
    """The drain is over; so many clients were left with half a response."""

    cut: int


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """A client has the whole drained, and watches how far that is."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """So many exchanges are under way in a drain: in a worker."""

    exchanges: int


@dataclass(frozen=True, slots=True)
class OthersUnderWay:
    """The same of the other workers. `all`: each of them has said how many."""

    exchanges: int
    all: bool


@dataclass(frozen=True, slots=True)
class AllEnded:
    """All workers are drained; so many clients were left with half a response."""

    cut: int


Message: TypeAlias = (
    Reload
    | Moved
    | Retired
    | Leave
    | Stop
    | Cut
    | Serving
    | Failed
    | Reloaded
    | ReloadEnded
    | DrainAsked
    | DrainStarted
    | UnderWay
    | OthersUnderWay
    | DrainEnded
    | AllEnded
)
Arrival: TypeAlias = tuple[Message, list[socket.socket]]


class Channel:
    """One end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(SEND_SECONDS)
        self.ahead = b""
        self.sockets: list[socket.socket] = []

    def fileno(self) -> int:
        """For what waits until there is something to `receive`."""
        return self.sock.fileno()

    def send(self, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
        """Say something.

        Raises:
            OSError: the other end is gone, or takes nothing any more.
        """
        content = pickle.dumps(message)
        frame = LENGTH.pack(len(content), len(sockets)) + content
        sent = 0
        if sockets:  # they travel with the first byte
            numbers = [each.fileno() for each in sockets]
            sent = socket.send_fds(self.sock, [frame], numbers)
        self.sock.sendall(frame[sent:])

    def receive(self) -> list[Arrival]:
        """What has arrived in full; waits for bytes if there are none.

        Raises:
            EOFError: the other end is gone.
        """
        try:
            data, numbers, _, _ = socket.recv_fds(self.sock, READ_BYTES, MAX_SOCKETS)
        except ConnectionResetError:  # it went without reading all
            data, numbers = b"", []
        if not data:
            raise EOFError
        self.ahead += data
        self.sockets += [socket.socket(fileno=number) for number in numbers]
        arrived = []
        while (arrival := self.next()) is not None:
            arrived.append(arrival)
        return arrived

    def next(self) -> Arrival | None:
        """The next frame, if it is complete."""
        if len(self.ahead) < LENGTH.size:
            return None
        length, count = LENGTH.unpack_from(self.ahead)
        stop = LENGTH.size + length
        if len(self.ahead) < stop:
            return None
        message: Any = pickle.loads(self.ahead[LENGTH.size : stop])
        self.ahead = self.ahead[stop:]
        sockets, self.sockets = self.sockets[:count], self.sockets[count:]
        return message, sockets

    def close(self) -> None:
        """Let the other end know that this one is gone."""
        self.sock.close()


def channels() -> tuple[Channel, Channel]:
    """Two ends that belong together."""
    one, other = socket.socketpair()
    return Channel(one), Channel(other)
