"""Ports that refuse or ignore connections, without a race for their number."""

from __future__ import annotations

import select
import socket
from types import TracebackType
from typing import Self

from tests.support.raw import GUARD, Upstream


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

    def __init__(self) -> None:
        super().__init__()
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
        for filler in self.fillers:
            filler.close()
        super().__exit__(kind, error, trace)
