"""A client's connection, whichever version of HTTP it speaks, and its requests.

What the server, its door, its drain and the inspector ask of them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.errors import ProxyError
from proxy.http1.head import RequestHead
from proxy.policy.local_client import Entrance
from proxy.transport.client_stream import ClientStream, Served


class ClientHost(Protocol):
    """A connection. By HTTP/1.1 it is its own stream, of one request at a time."""

    address: bytes
    scheme: bytes
    closed: bool
    transport: asyncio.Transport

    @property
    def protocol(self) -> str:
        """Which version it speaks, as metrics name it."""

    @property
    def has_last_response(self) -> bool:
        """Has it got its last response, so that only its FIN has yet to come?"""

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait in the proxy because it does not read."""

    def wind_down(self) -> None:
        """Let the next response be the last, if only so a request cannot be lost."""

    def drain(self) -> None:
        """Serve no request after those that have come; close once there is none."""

    def refuse(self, error: ProxyError) -> None:
        """Serve none at all."""

    def abort(self) -> None:
        """Close at once; bytes that wait are dropped."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code that ran for this connection raised: report it, end what it was for."""


class HostedStream(ClientStream, Protocol):
    """One request, and the connection on which it came."""

    exchange: Served | None

    @property
    def connection(self) -> ClientHost:
        """Whose it is."""


class ClientHandler(Protocol):
    """What the connections of clients ask of the proxy."""

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request; sets `client.exchange` and in the end calls `finish`."""

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer what is not a request that can be served."""

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted."""

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""


class Http2Handler(ClientHandler, Protocol):
    """What those by HTTP/2 ask besides."""

    def unanswered(self, client: ClientHost, error: ProxyError) -> None:
        """Something was refused in a way that is no response: it is for the log."""


def server_name(client: object) -> str | None:
    """What its client has called us in TLS (SNI), "" if nothing; None: no TLS.

    `client`: a stream, whose connection is asked; of one without it nothing is known.
    """
    connection: ClientHost | None = getattr(client, "connection", None)
    if connection is None:
        return None
    tls = connection.transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    name = getattr(tls, "server_name", None)  # see proxy.server.handshake
    return name if isinstance(name, str) else ""


def entrance(client: ClientStream) -> Entrance:
    """Where a request has come in, as far as its connection knows."""
    connection: ClientHost | None = getattr(client, "connection", None)
    name = None
    if connection is not None:
        name = connection.transport.get_extra_info("sockname")
    host, port = (name[0], name[1]) if isinstance(name, tuple) else ("", 0)
    return Entrance(client.scheme, host, port, server_name(client))
