"""The proxy as a whole: accepts clients, gives each request an exchange, drains.

Hands what ended to the observers. Its configuration may be replaced while it
runs. Knows the loop; nothing of the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from secrets import token_bytes
from types import TracebackType

from proxy.config.model import Config
from proxy.errors import (
    ConfigError,
    Overloaded,
    ProxyError,
    concerning,
)
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.exchange.forward import Forward
from proxy.exchange.kept_stream import KeptStream
from proxy.http1.head import RequestHead
from proxy.inspector.inspector import PATH, Inspector
from proxy.internal_errors import report
from proxy.kept.registry import KeptStreams
from proxy.policy.error_response import Failure, plan_failure
from proxy.server.admission import Admission
from proxy.server.drain import Drain, Draining
from proxy.server.listener import TLS, Listener
from proxy.server.peer_door import PeerDoor
from proxy.server.peers import Peers
from proxy.server.stream_address import STREAMS, StreamAddress
from proxy.timeline import Clock, Timeline, ending_of, http_date, monotonic
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.protocol_choice import ProtocolChoice, SniffedConnection
from proxy.transport.ticker import Ticker

SECRET_BYTES = 32  # by which fingerprints are made
GONE_SECONDS = 1.0  # for the loop to tell of connections that were aborted

Observer = Callable[[Timeline], None]


class Server:
    """A proxy for one configuration. Use as an asynchronous context manager."""

    def __init__(
        self,
        config: Config,
        *,
        observers: Sequence[Observer] = (),
        clock: Clock = monotonic,
        number: int = 0,
        siblings: tuple[str, ...] = (),
        secret: bytes = b"",
    ) -> None:
        self.config = config
        self.number = number  # of this worker, among those that share the port
        self.siblings = siblings  # Unix sockets on which the others serve the same
        self.observers = tuple(observers)
        self.ticker = Ticker(clock)
        self.compiled = CompiledRoutes(config, self.ticker)
        self.clients: set[ClientHost] = set()
        self.last: Drain | None = None  # set once the end has begun
        self.exchanges: dict[Exchange, None] = {}  # under way, the oldest first
        most = config.store.max_bytes
        secret = secret or token_bytes(SECRET_BYTES)  # of all workers, or of this one
        self.kept: KeptStreams[KeptStream] = KeptStreams(most, number, secret)
        self.others = Peers(self)
        if siblings:
            self.kept.watcher = self.others.names
        self.peer_door = PeerDoor(self)
        self.admission = Admission(
            config.server, self.clients, self.exchanges, self.ticker
        )
        self.inspector = Inspector(self)
        self.listener = Listener(self.accept, self.accept_tls, self.admission)

    @property
    def peers(self) -> Peers | None:
        """The other workers, if there are any."""
        return self.others if self.siblings else None

    # -- listening

    async def start(
        self, sockets: Sequence[socket.socket] = (), tls: TLS | None = None
    ) -> None:
        """Listen; on `sockets`, if they do so already, and by `tls`, if it is known.

        Raises:
            OSError: the address is in use or not ours.
            CertificateFault: the certificate is not what it was at the check.
        """
        await self.listener.open(self.config.server, sockets, tls)
        self.admission.fd_limit.watch(asyncio.get_running_loop())
        self.others.prepare()

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        return self.listener.port

    @property
    def under_way(self) -> int:
        """How many exchanges there are at the moment; what we answer is none."""
        return len(self.exchanges)

    async def reload(
        self,
        config: Config,
        sockets: Sequence[socket.socket] = (),
        observers: Sequence[Observer] | None = None,
    ) -> None:
        """Serve by another configuration; exchanges that run keep theirs.

        `sockets` listen on its address, if that is another one: who gives them says
        when to retire from the one before. `observers` are who listens from now on, if
        that changes. Whatever it raises, all is as it was.

        Raises:
            ConfigError: a route, or what shows the exchanges, cannot be made.
            OSError, CertificateFault: it cannot listen.
        """
        before, known = self.config, self.compiled
        compiled = CompiledRoutes(config, self.ticker, known)
        servers = await self.listener.prepare(config.server, sockets)
        try:
            self.configure(config, compiled)
            self.listener.adopt(config.server, servers)
        except BaseException:
            self.listener.discard(servers)
            with contextlib.suppress(ConfigError):  # the first fault is the one to tell
                self.configure(before, known)
            compiled.close(known)
            raise
        if observers is not None:
            self.observers = tuple(observers)
        try:
            known.close(compiled)
        except Exception as error:  # it serves by the other one already
            report("closing upstream connections of the previous configuration", error)
        if not sockets:
            await self.listener.retire()

    def configure(self, config: Config, compiled: CompiledRoutes) -> None:
        """Be as a configuration says, for all that comes from now on."""
        self.compiled, self.config = compiled, config
        self.others.reloaded()
        self.kept.store.budget.max_bytes = config.store.max_bytes
        self.admission.limits = config.server
        with concerning("[inspector], [metrics] or [log] warnings"):
            self.inspector.configure(config)

    async def stop(self, drain_seconds: float = 0.0) -> int:
        """Accept no more, give open exchanges time to end, cut the rest.

        Returns how many clients were left with half a response.
        """
        self.listener.close()
        self.kept.close()
        self.others.close()
        self.peer_door.join(self.clients)
        self.last = Drain(self.clients, self.exchanges_and_answers, self.ticker)
        broken = await self.last.run(drain_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                await self.last.gone()
        self.kept.close()
        self.compiled.close()
        try:
            self.inspector.close()
        except Exception as error:
            report("stopping the inspector", error)
        self.ticker.stop()
        self.admission.fd_limit.leave(asyncio.get_running_loop())
        return broken

    async def __aenter__(self) -> Server:
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
    def draining(self) -> bool:
        """Has the end begun?"""
        return self.last is not None

    # -- what client connections ask for

    def accept(self) -> ClientConnection:
        """The protocol of a new connection without TLS."""
        limits = self.config.server
        if limits.http2_cleartext:
            return SniffedConnection(self, self.ticker, limits)
        return ClientConnection(self, self.ticker, limits)

    def accept_tls(self) -> ProtocolChoice:
        """The protocol of a new connection, until TLS says which it speaks."""
        return ProtocolChoice(self, self.ticker, self.config.server)

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted."""
        self.clients.add(client)
        if self.last is not None:  # its TLS handshake took that long
            client.drain()
        else:
            self.admission.opened(client)
            self.inspector.checks.stir()

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.clients.discard(client)
        self.admission.closed(client)
        if self.last is not None:
            self.last.client_gone()

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request."""
        if head.target.startswith(PATH) and self.serve_own(client, head):
            return
        exchange = Exchange(self, client, head)
        client.exchange = exchange
        self.exchanges[exchange] = None
        if self.inspector.history.capturing:
            self.inspector.begun(exchange)
        try:
            self.admission.begin(client)
            Forward(exchange).start()
            most = self.config.server.max_exchanges
            if most and self.kept.unread:  # they count, but refuse nobody
                self.kept.make_room(max(most - len(self.exchanges), 0))
        except Overloaded as error:
            exchange.fail(error)
        except Exception as error:
            exchange.crashed("forwarding a request", error)

    def serve_own(self, client: HostedStream, head: RequestHead) -> bool:
        """Answer below /_unbuffered/; False: the request is for a route."""
        if not self.compiled.resumes or not head.target.startswith(STREAMS):
            return self.inspector.serve(client, head)
        exchange = Exchange(self, client, head)
        client.exchange = exchange
        self.exchanges[exchange] = None
        if self.inspector.history.capturing:
            self.inspector.begun(exchange)
        try:
            self.admission.begin(client)
            StreamAddress(exchange, self.kept).serve()
        except Overloaded as error:
            exchange.fail(error)
        except Exception as error:
            exchange.crashed("answering for a kept stream", error)
        return True

    def answer(self, exchange: Exchange) -> None:
        """Serve a request of another worker's client."""
        try:
            if exchange.head.target.startswith(STREAMS) and self.compiled.resumes:
                StreamAddress(exchange, self.kept).serve()
            else:
                Forward(exchange).start()
        except Exception as error:
            exchange.crashed("forwarding a request of another worker", error)

    def unanswered(self, client: ClientHost, error: ProxyError) -> None:
        """Something was refused in a way that is no response: it is for the log."""
        timeline = Timeline(self.ticker.clock(), client.address, version="2.0")
        timeline.status = error.status
        timeline.end(self.ticker.clock(), ending_of(error), error)
        self.notify(timeline)

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        timeline = Timeline(self.ticker.clock(), client.address)
        timeline.status = error.status
        failure = Failure(error=error, elapsed=0.0)
        plan, body = plan_failure(failure, None, client.terms, http_date())
        client.send_plan(plan)
        client.send_piece(body)
        timeline.end(self.ticker.clock(), ending_of(error), error)
        self.notify(timeline)
        client.finish()

    def exchange_ended(self, exchange: Exchange) -> None:
        """An exchange is over, and its client served."""
        self.exchanges.pop(exchange, None)
        self.notify(exchange.timeline)

    def stream_truncated(self, exchange: Exchange) -> None:
        """A stream of a known family was well framed, and is not complete."""
        if exchange.route is not None and exchange.route.verbatim:
            return  # the worker that has it says so
        try:
            self.inspector.checks.truncated(exchange.timeline)
        except Exception as error:
            report("a warning of a truncated stream", error)

    def exchanges_and_answers(self) -> Iterator[Draining]:
        """All exchanges that run, and our own answers."""
        yield from self.exchanges
        yield from self.peer_door.exchanges
        yield from self.inspector.answers

    def notify(self, timeline: Timeline) -> None:
        """Tell all observers. The client is served; no observer changes that."""
        try:
            self.inspector.ended(timeline)
        except Exception as error:
            report("the inspector's record of an exchange", error)
        for observer in self.observers:
            try:
                observer(timeline)
            except Exception as error:
                report("an observer of exchanges", error)
