"""Where other workers of the same proxy come in, by a Unix socket of their own.

What they ask for themselves is served as on the port. A request that they hand over is
served as if its client had come here. That one is theirs: so are its place in the list,
its line in the log, and its part of the sums.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from proxy.config.model import Config
from proxy.config.model import ServerOptions as Limits
from proxy.errors import Overloaded, ProxyError
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange, HandingOver
from proxy.exchange.forward import Forward
from proxy.exchange.handed_exchange import HandedExchange
from proxy.http1.head import RequestHead
from proxy.kept.registry import KeptStreams
from proxy.policy.handed_message import FIELD_BYTES, read_request
from proxy.server.admission import Admission
from proxy.server.peer_link import NAMES
from proxy.server.peers import Peers
from proxy.server.stream_address import STREAMS, StreamAddress
from proxy.timeline import CallTimeline
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.peer_connection import PeerConnection
from proxy.transport.ticker import Ticker

NAMED = re.compile(re.escape(NAMES) + rb"(\d{1,3})")


class DoorServer(Protocol):
    """The server behind it."""

    admission: Admission
    config: Config
    exchanges: dict[Exchange, None]
    others: Peers
    ticker: Ticker

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes."""

    @property
    def kept(self) -> KeptStreams[Any]:
        """The streams that outlive a connection."""

    @property
    def peers(self) -> HandingOver | None:
        """The other workers."""

    @property
    def draining(self) -> bool:
        """Has the end begun?"""

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request."""

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""

    def stream_truncated(self, exchange: Exchange) -> None:
        """A stream of a known family was well framed, and is not complete."""

    def stream_begun(self, exchange: Exchange) -> None:
        """A response is a stream, of which nothing has come yet."""

    def answer_ended(self, exchange: Exchange) -> None:
        """The upstream of a kept stream has ended, which was a model's answer."""


class PeerDoor:
    """The handler of their connections, and the owner of exchanges of their clients."""

    def __init__(self, server: DoorServer) -> None:
        self.server = server
        self.clients: set[ClientHost] = set()
        self.exchanges: dict[Exchange, None] = {}

    def accept(self) -> PeerConnection:
        """The protocol of a new connection."""
        server = self.server
        return PeerConnection(self, server.ticker, limits_of(server.config.server))

    def join(self, clients: set[ClientHost]) -> None:
        """The process ends: they are drained with those of clients."""
        clients |= self.clients
        self.clients = clients

    # -- as the handler of connections

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted, which max_connections does not count."""
        self.clients.add(client)
        if self.server.draining:
            client.drain()
        else:
            self.server.admission.check_descriptor(client)

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.clients.discard(client)
        self.server.closed(client)

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        self.server.reject(client, error)

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request of a worker, or of a client of it."""
        found = read_request(head)
        if found is None or not isinstance(client, PeerConnection):
            teller = NAMED.fullmatch(head.target)
            if teller is None or head.method != b"POST":
                self.server.begin(client, head)
            else:
                self.server.others.names.listen(client, int(teller[1]))
            return
        handed, head = found
        client.speak_for(handed.address, handed.scheme)
        exchange = HandedExchange(self, client, head, last=handed.last)
        exchange.timeline.request_id = handed.request_id
        client.exchange = exchange
        self.exchanges[exchange] = None
        most, kept = self.server.config.server.max_exchanges, self.server.kept
        if 0 < most < self.under_way:
            exchange.fail(
                Overloaded(f"{most} requests are already being served (max_exchanges)")
            )
            return
        self.serve(exchange)
        if most and kept.unread:
            kept.make_room(max(most - self.under_way, 0))

    def serve(self, exchange: Exchange) -> None:
        """Have an exchange answered, as if its client were of this worker."""
        try:
            resumes = self.server.compiled.resumes
            if resumes and exchange.head.target.startswith(STREAMS):
                StreamAddress(exchange, self.server.kept).serve()
            else:
                Forward(exchange).start()
        except Exception as error:
            exchange.crashed("forwarding a request of another worker", error)

    @property
    def under_way(self) -> int:
        """How many requests this worker serves, whoever has their clients."""
        return len(self.exchanges) + len(self.server.exchanges)

    # -- as the owner of exchanges

    @property
    def compiled(self) -> CompiledRoutes:
        """As `ExchangeOwner`."""
        return self.server.compiled

    @property
    def kept(self) -> KeptStreams[Any]:
        """As `ExchangeOwner`."""
        return self.server.kept

    @property
    def peers(self) -> HandingOver | None:
        """As `ExchangeOwner`."""
        return self.server.peers

    def exchange_ended(self, exchange: Exchange) -> None:
        """An exchange is over: the worker that has its client tells of it."""
        self.exchanges.pop(exchange, None)

    def stream_truncated(self, exchange: Exchange) -> None:
        """As `ExchangeOwner`."""
        self.server.stream_truncated(exchange)

    def stream_begun(self, exchange: Exchange) -> None:
        """As `ExchangeOwner`."""
        self.server.stream_begun(exchange)

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """The worker that has its client records it."""

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """The worker that has its client records it."""

    def answer_ended(self, exchange: Exchange) -> None:
        """As `ExchangeOwner`."""
        self.server.answer_ended(exchange)


def limits_of(limits: Limits) -> Limits:
    """What holds for workers: how quick and how large is judged where the client is."""
    return msgspec.structs.replace(
        limits,
        body_timeout_seconds=0.0,
        head_timeout_seconds=0.0,
        keepalive_timeout_seconds=0.0,
        max_fields=limits.max_fields and limits.max_fields + 1,
        max_head_bytes=limits.max_head_bytes + FIELD_BYTES,
        max_target_bytes=0,
        write_timeout_seconds=0.0,
    )
