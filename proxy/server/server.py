"""The proxy as a whole: accepts clients, gives each request an exchange, drains.

Hands what ended to the observers. Its configuration may be replaced while it
runs. Knows the loop; nothing of the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import partial
from secrets import token_bytes
from types import TracebackType

from proxy.config.model import Config
from proxy.errors import Overloaded, ProxyError, concerning
from proxy.exchange.client_counts import ClientCounts, SharedRows
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.exchange.forward import Forward
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.record_tap import TapeMaker
from proxy.exchange.route_taps import fit_taps
from proxy.http1.head import RequestHead
from proxy.inspector.access_rule import in_origin_form
from proxy.inspector.drain_endpoint import Drained, DrainEndpoint
from proxy.inspector.inspector import PATH, Inspector
from proxy.inspector.withheld import without_sessions
from proxy.internal_errors import report
from proxy.kept.registry import KeptStreams
from proxy.kept.shared_store import SharedStore
from proxy.observe.config_reloads import ConfigReloads
from proxy.server.admin_door import AdminDoor
from proxy.server.admin_sockets import AdminSockets
from proxy.server.admission import Admission
from proxy.server.all_listeners import AllListeners
from proxy.server.drain import Drain
from proxy.server.drain_delay import DrainDelay
from proxy.server.drain_progress import GONE_SECONDS, DrainProgress
from proxy.server.drained_exchanges import draining
from proxy.server.further_listeners import NONE_FURTHER, Further
from proxy.server.health_checks import HealthChecks
from proxy.server.listener import TLS
from proxy.server.peer_door import PeerDoor
from proxy.server.peers import Peers
from proxy.server.reconfiguration import reconfigure
from proxy.server.rejection import rejected
from proxy.server.shared_store_choice import choose_shared_store
from proxy.server.stream_address import STREAMS, StreamAddress
from proxy.timeline import CallTimeline, Clock, Timeline, ending_of, monotonic
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.ticker import Ticker

SECRET_BYTES = 32  # by which fingerprints are made

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
        shared: SharedStore | None = None,
        rows: SharedRows | None = None,
        tapes: TapeMaker | None = None,
        embedded: bool = False,
    ) -> None:
        self.config = config
        self.embedded = embedded  # in a loop whose exception handler is another's
        self.number = number  # of this worker, among those that share the port
        self.siblings = siblings  # Unix sockets on which the others serve the same
        self.observers = tuple(observers)
        self.reloads = ConfigReloads()
        self.restarts: dict[int, int] = {}  # of this worker, where there are several
        self.ticker = Ticker(clock)
        secret = secret or token_bytes(SECRET_BYTES)  # of all workers, or of this one
        counts = ClientCounts(secret, rows, number)
        self.compiled = CompiledRoutes(config, self.ticker, counts=counts)
        self.tapes = tapes  # of who records exchanges, if anybody does
        fit_taps(self.compiled, tapes)
        self.health_checks = HealthChecks(self.ticker)
        self.clients: set[ClientHost] = set()
        self.delay: DrainDelay | None = None  # set once the end is announced
        self.last: Drain | None = None  # set once it has begun
        self.hastened = False
        self.drain_progress = DrainProgress(self)
        self.exchanges: dict[Exchange, None] = {}  # under way, the oldest first
        most = config.store.max_bytes
        self.kept: KeptStreams[KeptStream] = KeptStreams(most, number, secret)
        if shared is None:
            shared = choose_shared_store(config.store)
        self.kept.shared = shared  # the store of all machines, if there is one
        self.others = Peers(self)
        if siblings:
            self.kept.watcher = self.others.names
            self.compiled.sessions.watcher = self.others.names
            self.health_checks.watcher = self.others.names
        self.peer_door = PeerDoor(self)
        self.admin_door = AdminDoor(self)
        self.admission: Admission = Admission(
            config.server, self.clients, self.exchanges, self.ticker
        )
        self.inspector = Inspector(self)
        self.listeners = AllListeners(self)

    @property
    def peers(self) -> Peers | None:
        """The other workers, if there are any."""
        return self.others if self.siblings else None

    # -- listening

    async def start(
        self,
        sockets: Sequence[socket.socket] = (),
        tls: TLS | None = None,
        admin: AdminSockets | None = None,
        further: Further = NONE_FURTHER,
    ) -> None:
        """Listen; on `sockets`, if they do so already, and by `tls`, if it is known.

        `further`: the same of the listeners beside.

        Raises:
            OSError: the address is in use or not ours.
            ConfigError: so is that of the admin listener, or of one beside.
            CertificateFault: the certificate is not what it was at the check.
        """
        await self.open_store()
        try:
            await self.admin_door.open(admin)
            await self.listeners.open(self.config, sockets, tls, further)
        except BaseException:
            self.admin_door.close()
            self.listeners.close()
            if self.kept.shared is not None:
                await self.kept.shared.close()
            raise
        self.admission.fd_limit.learn()
        if not self.embedded:
            self.admission.fd_limit.watch(asyncio.get_running_loop())
        self.others.prepare()
        self.health_checks.configure(self.compiled.upstreams)

    async def start_hosted(self) -> None:
        """Serve what a host application hands to `begin`, and listen nowhere."""
        await self.open_store()
        self.admission.fd_limit.learn()
        self.health_checks.configure(self.compiled.upstreams)

    async def open_store(self) -> None:
        """Open the store that is shared, before the first request asks for it."""
        if self.kept.shared is not None:
            await self.kept.shared.open()
            self.compiled.sessions.store = self.kept.shared

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        return self.listeners.public.port

    @property
    def https_port(self) -> int:
        """The port of the first listener that speaks TLS; 0 if there is none."""
        return self.listeners.https_port

    @property
    def certificate_expiries(self) -> list[tuple[str, float]]:
        """When certificates expire, each with the address where it is shown."""
        return self.listeners.certificate_expiries

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
        await reconfigure(self, config, sockets, observers)

    def configure(self, config: Config, compiled: CompiledRoutes) -> None:
        """Be as a configuration says, for all that comes from now on."""
        self.compiled, self.config = compiled, config
        self.others.reloaded()
        self.kept.store.budget.max_bytes = config.store.max_bytes
        self.admission.limits = config.server
        with concerning("[inspector], [metrics] or [log] warnings"):
            self.inspector.configure(config)

    def announce(self, seconds: float) -> DrainDelay:
        """Be not ready any more, and serve for so long nevertheless."""
        self.delay = DrainDelay(self.clients, self.ticker, seconds)
        self.drain_progress.changed()
        return self.delay

    async def stop(self, drain_seconds: float = 0.0) -> int:
        """Accept no more, give open exchanges time to end, cut the rest.

        Returns how many clients were left with half a response.
        """
        if self.delay is not None:
            self.delay.end()
        self.drain_progress.ends = self.ticker.clock() + drain_seconds
        self.listeners.close()
        self.kept.drain()
        self.others.close()
        self.peer_door.join(self.clients)
        drained = Drained(self.clients, self.drain_endpoint)
        self.last = Drain(drained, partial(draining, self), self.ticker)
        self.drain_progress.changed()
        broken = await self.last.run(0.0 if self.hastened else drain_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                await self.last.gone()
        self.kept.close()
        if self.kept.shared is not None:
            await self.kept.shared.close()
        await self.admin_door.end()
        await self.health_checks.close()
        self.compiled.close()
        try:
            self.inspector.close()
        except Exception as error:
            report("stopping the inspector", error)
        self.ticker.stop()
        self.admission.fd_limit.leave(asyncio.get_running_loop())
        return broken

    def hasten(self) -> None:
        """Wait no longer in the `stop` that is under way: cut the rest."""
        self.hastened = True
        if self.last is not None:
            self.last.hasten()

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

    @property
    def leaving(self) -> bool:
        """Is it announced, at least?"""
        return self.delay is not None or self.last is not None

    @property
    def drain_endpoint(self) -> DrainEndpoint:
        """Who watches the end."""
        return self.inspector.drain_endpoint

    @property
    def lacks_descriptors(self) -> bool:
        """Would the next connection be refused?"""
        return self.admission.fd_limit.exhausted

    # -- what client connections ask for

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted."""
        self.clients.add(client)
        if self.last is not None:  # its TLS handshake took that long
            client.drain()
        else:
            self.admission.opened(client)
            self.inspector.checks.stir()
            if self.delay is not None and self.delay.winds_down:
                client.wind_down()

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.clients.discard(client)
        self.admission.closed(client)
        if self.last is not None:
            self.last.client_gone()

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request."""
        inspector = self.inspector
        if inspector.watched not in head.target:
            exchange = Exchange(self, client, head)
        else:
            head = in_origin_form(head)
            if head.target.startswith(PATH) and self.serve_own(client, head):
                return
            exchange = inspector.withheld.exchange(self, client, head)
        client.exchange = exchange
        self.exchanges[exchange] = None
        if inspector.history.capturing:
            inspector.begun(exchange)
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
        exchange = Exchange(self, client, without_sessions(head))
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

    def unanswered(self, client: ClientHost, error: ProxyError) -> None:
        """Something was refused in a way that is no response: it is for the log."""
        now, scheme = self.ticker.clock(), client.scheme
        timeline = Timeline(now, client.address, version="2.0", scheme=scheme)
        timeline.status = error.status
        timeline.end(self.ticker.clock(), ending_of(error), error)
        self.notify(timeline)

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        timeline, body = rejected(self.compiled, self.ticker.clock, client, error)
        self.record_failure(timeline, body)
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

    def stream_begun(self, exchange: Exchange) -> None:
        """A response is a stream, of which nothing has come yet: it may be recorded."""
        try:
            self.inspector.history.stream_begun(exchange)
        except Exception as error:
            report("recording a stream", error)

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """The response of an exchange is a kept stream."""
        try:
            self.inspector.history.stream_joined(exchange, account)
        except Exception as error:
            report("recording a stream", error)

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """What went wrong was told to the client: that is recorded, too."""
        self.record_failure(exchange.timeline, written)

    def record_failure(self, timeline: Timeline, written: bytes) -> None:
        """The client of a request that failed was sent this."""
        try:
            self.inspector.history.failed(timeline, written)
        except Exception as error:
            report("recording a failure", error)

    def answer_ended(self, exchange: Exchange) -> None:
        """The upstream of a kept stream has ended, which was a model's answer."""
        try:
            self.inspector.metrics_endpoint.answered(exchange.timeline)
        except Exception as error:
            report("counting a model's answer", error)

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
