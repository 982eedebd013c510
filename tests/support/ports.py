"""Ports for programs, and such that refuse or ignore connections; none by a race."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
from collections import deque
from types import TracebackType
from typing import ClassVar, Self

from tests.support.raw import GUARD, Upstream

CHOSEN = random.Random()  # not as the tests beside this process have it
# The processes of pytest-xdist have each its own: what one has found free stays so.
OWN = 12_000 + 2500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4)
BUS = 10_000  # above its port, a node of a Redis cluster has another one
GIVEN = deque[int](maxlen=1000)  # a program may be on its way to each of them


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has, for a program that will listen there.

    Below those that the kernel gives to connections and to whoever asks for any: nobody
    takes it meanwhile, and a client that tries it does not reach itself. None is given
    twice: of two programs that start side by side, one would be asked in place of both.
    """
    while True:
        port = CHOSEN.randrange(OWN, OWN + 2500)
        if port in GIVEN:
            continue
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind((host, port))
            with socket.socket() as other:
                other.bind((host, port + BUS))
            GIVEN.append(port)
            return port


class ClosedPort:
    """A port that is taken but not listened on: it refuses, until it is opened."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.port: int = self.sock.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    @property
    def address(self) -> str:
        """How an error message names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def upstream(self) -> Upstream:
        """An upstream that will listen here."""
        return Upstream(host=self.host, bound=self.sock)


class BlackHole(ClosedPort):
    """A port that answers nothing: its queue of connections is full."""

    ports: ClassVar[set[int]] = set()  # of all that there are

    def __init__(self) -> None:
        super().__init__()
        self.ports.add(self.port)
        self.sock.listen(0)
        self.fillers = [socket.create_connection(self.sock.getsockname(), GUARD)]
        queued, _, _ = select.select([self.sock], [], [], GUARD)
        assert queued
        # Linux has no place for a second one; other systems may have.
        self.fillers.append(socket.socket())
        self.fillers[1].setblocking(False)
        self.fillers[1].connect_ex(self.sock.getsockname())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ports.discard(self.port)
        for filler in self.fillers:
            filler.close()
        super().__exit__(kind, error, trace)
