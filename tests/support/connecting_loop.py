"""A uvloop that knows how many connections it makes at the moment.

It reads even the numbers of an address in a thread, and no order of the kernel says
when that thread goes on.
"""

from __future__ import annotations

import socket
from typing import Any

import uvloop

from tests.support.ports import BlackHole


class ConnectingLoop(uvloop.Loop):
    connecting = 0  # but for those that nothing ever answers

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        counted = not (isinstance(address, tuple) and address[1] in BlackHole.ports)
        self.connecting += counted
        try:
            await super().sock_connect(sock, address)
        finally:
            self.connecting -= counted
