"""Bytes from one socket to another on uvloop, and nothing else: no HTTP at all.

What a program on this event loop cannot go below. `python bare_uvloop.py PORT ORIGIN`
"""

import asyncio
import sys
from typing import cast

import uvloop


class End(asyncio.Protocol):
    """One of two connections; writes what the other one reads."""

    def __init__(self, other: "End | None" = None) -> None:
        self.other = other
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.other is not None:
            self.other.other = self
            self.transport.write(self.other.early)
        else:
            loop = asyncio.get_running_loop()
            end = loop.create_connection(lambda: End(self), "127.0.0.1", origin)
            self.connecting = loop.create_task(end)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
        else:
            self.early += data

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(End, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


port, origin = int(sys.argv[1]), int(sys.argv[2])
uvloop.run(main(port))
