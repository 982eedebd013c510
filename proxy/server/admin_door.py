"""The admin listener: health, readiness, metrics and the inspector, and nothing else.

Its answers are those of the inspector, by the same connections as on the public port;
its clients count for no limit there, and it stays open to the end of a drain: that is
when somebody looks.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.config.listen_address import ListenAddress
from proxy.config.model import Config
from proxy.errors import ProxyError
from proxy.http1.head import RequestHead
from proxy.inspector.access_rule import in_origin_form
from proxy.inspector.inspector import PATH, Inspector
from proxy.inspector.own_response import OwnResponse, refuse
from proxy.policy.local_client import ADMIN_SOCKET, UNIX
from proxy.server.admin_sockets import AdminSockets, open_admin
from proxy.server.admission import Admission
from proxy.system.unix_socket import serve_unix
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.connection import probe
from proxy.transport.ticker import Ticker

NOTHING_ELSE = (
    "this is the admin listener ([server] admin): it has the inspector at "
    "/_unbuffered/, and /_unbuffered/health, /_unbuffered/ready and "
    "/_unbuffered/metrics"
)
NOT_OPEN = (
    "not open to this client: see enabled and token of [inspector], and enabled of "
    "[metrics]"
)


class AdminServer(Protocol):
    """Whose listener it is."""

    admission: Admission
    clients: set[ClientHost]
    config: Config
    inspector: Inspector
    ticker: Ticker

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""


class AdminDoor:
    """The handler of its connections."""

    def __init__(self, server: AdminServer) -> None:
        self.server = server
        self.clients: set[ClientHost] = set()
        self.made: AdminSockets | None = None  # here, not by a supervisor
        self.address: ListenAddress | None = None  # with the port that it really has
        self.servers: list[asyncio.Server] = []

    async def open(self, given: AdminSockets | None = None) -> None:
        """Listen, if the configuration says so; on `given` sockets, if there are any.

        Raises:
            ConfigError: it cannot.
        """
        sockets = given
        if sockets is None:
            sockets = self.made = open_admin(self.server.config.server)
        if sockets is None:
            return
        self.address = address = sockets.address
        loop = asyncio.get_running_loop()
        try:
            for each in sockets.sockets:
                if address.path:
                    made = await serve_unix(self.accept, each)
                else:
                    probe(each)
                    made = await loop.create_server(self.accept, sock=each)
                self.servers.append(made)
        except BaseException:
            self.close()
            raise

    def accept(self) -> ClientConnection:
        """The protocol of a new connection."""
        return ClientConnection(self, self.server.ticker, self.server.config.server)

    # -- as the handler of connections

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted, which max_connections does not count."""
        if client.address == UNIX:  # which would be another worker, who may do all
            client.address = ADMIN_SOCKET
        self.clients.add(client)
        self.server.admission.check_descriptor(client)

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.clients.discard(client)
        self.server.closed(client)

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        self.server.reject(client, error)

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request."""
        inspector = self.server.inspector
        head = in_origin_form(head)
        if inspector.serve(client, head, admin=True):
            return
        answer = OwnResponse(client, head, inspector.admin_answers)
        try:
            below = head.target.startswith(PATH)
            refuse(answer, 404, NOT_OPEN if below else NOTHING_ELSE)
        except Exception as error:
            answer.crashed("the admin listener", error)

    # -- the end

    async def end(self) -> None:
        """The drain is over: let go of all but those who wait to be told of its end."""
        self.close()
        inspector = self.server.inspector
        watches = inspector.drain_endpoint.only_watches
        for answer in tuple(inspector.admin_answers):
            answer.drain()
        for _ in range(2):  # uvloop writes at the end of a turn
            await asyncio.sleep(0)
        for client in tuple(self.clients):
            if not watches(client):
                client.abort()
        self.server.clients |= self.clients

    def close(self) -> None:
        """Accept no more."""
        for server in self.servers:
            server.close()
        self.servers = []
        if self.made is not None:
            self.made.close()
            self.made = None
