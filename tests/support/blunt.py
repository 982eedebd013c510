"""An upstream without an event loop: what it does is done when the call returns.

For tests of what meets in one turn of the proxy's loop.
"""

from __future__ import annotations

import socket
from types import TracebackType

from tests.support.raw import became


class Blunt:
    """A listener on a free port; sockets of its connections do not block."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted: list[socket.socket] = []

    def __enter__(self) -> Blunt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in (self.listener, *self.accepted):
            sock.close()

    def asked(self) -> bool:
        """Is there a new connection?"""
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return False
        sock.setblocking(False)
        self.accepted.append(sock)
        return True

    async def connection(self) -> socket.socket:
        """The next connection that the proxy opens."""
        await became(self.asked)
        return self.accepted[-1]


async def blunt_read(sock: socket.socket, end: bytes) -> bytes:
    """Read until so many bytes end what was read."""
    received = b""

    def complete() -> bool:
        nonlocal received
        try:
            received += sock.recv(65536)
        except BlockingIOError:
            return False
        return received.endswith(end)

    await became(complete)
    return received
