"""The server of an origin: an address, and the connections to it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from proxy.http1.grammar import MAX_PORT
from proxy.http1.head import RequestHead
from proxy.origin.origin_connection import Answerer, OriginConnection
from proxy.origin.script_values import as_integer


class OriginListener:
    """Listens, and has what is asked answered by `answerer` of whoever is one."""

    def __init__(self) -> None:
        self.connections: set[OriginConnection] = set()
        self.server: asyncio.Server | None = None
        self.host = ""
        self.port = 0

    def answerer(self, connection: OriginConnection, head: RequestHead) -> Answerer:
        """Who answers this request; it is not begun here."""
        raise NotImplementedError

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; at port 0 on one that is free.

        Raises:
            OSError: the address cannot be listened on.
            ValueError: `port` is not one.
            RuntimeError: it listens already.
        """
        number = as_integer(port)
        if number is None or not 0 <= number <= MAX_PORT:
            raise ValueError(f"port: expected 0 to {MAX_PORT}, got {port!r}")
        if self.server is not None:
            raise RuntimeError(f"it listens already, on {self.url}")
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: OriginConnection(self), host, port
        )
        self.host, self.port = self.server.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self.server is None:
            return
        self.server.close()
        self.server = None
        connections = list(self.connections)
        for connection in connections:
            connection.transport.abort()
        for connection in connections:
            await connection.closed.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        address = ip_address(self.host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "[::1]"
        else:
            host = self.host if address.version == 4 else f"[{self.host}]"
        return f"http://{host}:{self.port}"
