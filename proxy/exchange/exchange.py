"""One exchange: what it holds, and the ways in which it can end.

Every way out of an exchange is here, and every one goes through `over`, once, and
then in this order: nothing is left open towards the upstream that should not be,
the client knows what there is to know, and then the observers get the account. From
`over` on nothing raises. How an exchange proceeds until then is in `forward`.
"""

from __future__ import annotations

import asyncio

from proxy.errors import (
    ClientError,
    ClientStalled,
    ConnectTimeout,
    InternalError,
    Overloaded,
    ProxyError,
    RequestTimeout,
    ShuttingDown,
    UpstreamError,
    UpstreamTimeout,
)
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.http1.grammar import END_OF_HEAD
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.policy.error_response import Failure, failure_event, failure_response
from proxy.policy.load_balancing import Attempts
from proxy.policy.routing import Destination
from proxy.policy.server_timing import with_timing
from proxy.policy.timeouts import exceeded, unlimited
from proxy.timeline import (
    CONNECTING,
    OVER,
    RELAYING,
    ROUTING,
    TUNNEL,
    WAITING,
    Ending,
    Phase,
    Timeline,
    http_date,
)
from proxy.transport.boundary import WatchedSink
from proxy.transport.client_connection import ClientConnection
from proxy.transport.relay import DecodingRelay
from proxy.transport.tap import Tap
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection


class Exchange:
    """One request and its response, from socket to socket."""

    __slots__ = (
        "attempts",
        "client",
        "close_is_end",
        "compiled",
        "connecting",
        "connection",
        "event_stream",
        "head",
        "phase",
        "phase_began",
        "received",
        "repeatable",
        "request_bytes",
        "response_bytes",
        "route",
        "taken",
        "tap",
        "timeline",
        "untaken",
        "upgrade",
        "upstream",
        "watched",
        "where",
    )

    def __init__(
        self, compiled: CompiledRoutes, client: ClientConnection, head: RequestHead
    ) -> None:
        self.compiled = compiled
        self.client = client
        self.head = head
        self.phase = ROUTING
        self.phase_began = compiled.clock()
        self.timeline = Timeline(self.phase_began, client.address)
        self.timeline.request(head.method, head.target, head.minor)
        self.where: Destination | None = None
        self.route: CompiledRoute | None = None
        self.upstream: Upstream | None = None  # the target that was chosen last
        self.attempts: Attempts[Upstream] | None = None  # once one has failed
        self.connecting: asyncio.Task[None] | None = None
        self.connection: UpstreamConnection | None = None
        self.request_bytes = b""
        self.response_bytes = b""  # the head as it was written, for the inspector
        self.repeatable = False
        self.upgrade = False
        self.close_is_end = False  # of a response body to an HTTP/1.0 client
        self.event_stream = False  # it is one, and where it ends is ours to say
        self.watched: WatchedSink | None = None
        self.received: ResponseHead | None = None
        # Of an upload, as of the last look: bytes that wait, and that did not.
        self.untaken = self.taken = 0
        self.tap: Tap | None = None  # while somebody looks

    def enter(self, phase: Phase) -> None:
        """Move on to a phase and start its clock."""
        self.phase = phase
        self.phase_began = self.compiled.clock()

    def answered(self, head: ResponseHead) -> ResponseHead:
        """Note the upstream's response head; returns it as it goes on."""
        timeline, now = self.timeline, self.compiled.clock()
        timeline.head_received = timeline.silent_since = now
        timeline.content_type = head.get(b"content-type")
        self.received = head
        if self.route is not None and self.route.route.server_timing:
            head = with_timing(head, timeline)
        return head

    def use(self, upstream: Upstream) -> None:
        """Be one of the open exchanges of a target, and of no other."""
        if self.upstream is not None:
            self.upstream.open -= 1
        self.upstream = upstream
        self.timeline.upstream = upstream.condition.name
        upstream.open += 1

    def unreached(self, error: UpstreamError) -> None:
        """The target cannot be reached; `forward` knows what follows."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Close whatever there is towards the upstream."""
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        connection = self.connection
        if connection is not None:
            connection.drop()

    def over(self, ending: Ending, error: ProxyError | None) -> None:
        """Close the account."""
        self.phase = OVER
        self.compiled.ticker.discard(self)
        if self.upstream is not None:
            self.upstream.open -= 1
        try:
            now = self.compiled.clock()
        except Exception as fault:  # nothing may be in the way of an end
            report("the clock", fault)
            now = self.phase_began
        self.timeline.end(now, ending, error)
        self.timeline.heads = (self.head, self.received, self.response_bytes)
        if self.tap is not None:
            try:
                self.tap.over(self)
            except Exception as fault:
                report("the recording of an exchange", fault)
        self.client.exchange = None
        self.client.receiver = None
        self.client.feeder = None

    def notify(self) -> None:
        """Give the observers the account, now that the client is served."""
        self.compiled.ended(self.timeline)

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it worked for this exchange."""
        report(place, error)
        try:
            self.fail(InternalError())
        except Exception as again:
            report("the end of an exchange", again)
            self.client_left(InternalError())

    def fail(self, error: ProxyError) -> None:
        """Tell the client: by a status, or once the head is out by an abort."""
        if self.phase is OVER:
            return
        head_sent = self.timeline.status != 0
        if isinstance(error, UpstreamTimeout | RequestTimeout):
            ending = Ending.TIMED_OUT
        elif isinstance(error, ClientError | Overloaded):
            ending = Ending.REFUSED
        elif isinstance(error, ShuttingDown):
            ending = Ending.SHUT_DOWN
        elif isinstance(error, InternalError):
            ending = Ending.INTERNAL_ERROR
        else:
            ending = Ending.UPSTREAM_BROKE
        if not head_sent:
            self.timeline.status = error.status
        last_event = self.last_event(error)
        self.timeline.bytes_sent += len(last_event)
        self.over(ending, error)
        self.let_go()
        try:
            if last_event:
                self.client.send_piece(last_event)
                self.client.send_end([])
            elif head_sent:
                self.client.break_off(close_is_end=self.close_is_end)
            else:
                self.answer(error)
        except Exception as fault:
            report("the answer to a failure", fault)
            self.client.abort()
        self.notify()
        if last_event or not head_sent:
            self.client.next()

    def last_event(self, error: ProxyError) -> bytes:
        """What tells a client of the failure inside its stream; often nothing.

        Only between two events: to end an event that is not complete would
        have the client take it for complete.
        """
        route, watched = self.route, self.watched
        if (
            route is None
            or route.route.on_upstream_failure != "event"
            or not isinstance(error, UpstreamError)
            or watched is None
            or not watched.boundary.reached
            or self.client.closed
        ):
            return b""
        return failure_event(error, route.prefix)

    def answer(self, error: ProxyError) -> None:
        """Answer for the upstream with what went wrong."""
        route, upstream = self.route, self.upstream
        failure = Failure(
            error=error,
            elapsed=self.timeline.duration,
            route=route.prefix if route else None,
            target=str(upstream.target) if upstream else None,
            routes=tuple(self.compiled.router.prefixes),
        )
        client = self.client
        if not client.request_complete:
            client.keep_alive = False
        response = failure_response(failure, self.head, client.keep_alive, http_date())
        client.write_head(response, chunked=False)
        client.flush_head()
        self.response_bytes = response[: response.find(END_OF_HEAD) + 4]
        self.timeline.heads = (self.head, self.received, self.response_bytes)
        if self.tap is not None and self.tap.finish is not None:
            try:
                self.tap.finish(self)  # once more: what was sent is known only now
            except Exception as fault:
                report("the recording of an exchange", fault)

    def client_left(self, error: ClientError | InternalError) -> None:
        """The client is gone: so is its upstream connection, in every phase."""
        if self.phase is OVER:
            return
        if isinstance(error, InternalError):
            ending = Ending.INTERNAL_ERROR
        else:
            stalled = isinstance(error, ClientStalled)
            ending = Ending.TIMED_OUT if stalled else Ending.CLIENT_LEFT
        self.over(ending, error)
        self.let_go()
        self.client.abort()
        self.notify()

    @property
    def upstream_to_move(self) -> bool:
        """Is it the upstream that is waited for? Not while its client is slow."""
        client = self.client
        if self.phase is TUNNEL:
            return not client.blocked
        if self.phase is RELAYING:
            # An upload may still run: the upstream may wait for it, or it for the
            # upstream.
            uploading = not client.request_complete and not client.paused
            return not client.blocked and not uploading
        return client.request_complete or client.paused

    @property
    def at_work(self) -> bool:
        """Is it the proxy that has bytes of the upstream, and has yet to handle them?

        It shares its time out among all connections, and may be slow itself.
        """
        connection, relay = self.connection, self.client.feeder
        if connection is not None and connection.resting:
            return True
        return isinstance(relay, DecodingRelay) and (relay.resting or relay.ended)

    def check_upload(self, connection: UpstreamConnection, now: float) -> None:
        """Does the upstream take any of the body that waits for it?

        As long as it does, no clock of its silence runs.
        """
        paused = self.client.paused
        untaken = connection.transport.get_write_buffer_size() if paused else 0
        # The buffer may have as many bytes as before, and be full of others.
        taken = self.timeline.bytes_received - untaken
        if untaken and taken == self.taken:
            return
        self.untaken, self.taken = untaken, taken
        if self.phase is WAITING or paused:
            self.moved(now)

    def moved(self, now: float) -> None:
        """What the upstream is waited for counts from now on."""
        if self.phase is WAITING:
            self.phase_began = now
        else:
            self.timeline.silent_since = now

    def check(self, now: float) -> None:
        """Look at the time limits of the present phase."""
        route, connection = self.route, self.connection
        assert route is not None
        if self.phase is not CONNECTING and self.at_work:
            self.moved(now)
        if self.client.request_complete:
            self.untaken = 0
        elif connection is not None and self.phase in (WAITING, RELAYING):
            self.check_upload(connection, now)
        error = exceeded(
            route.route,
            self.phase,
            elapsed=now - self.timeline.started,
            waited=now - self.phase_began,
            silence=now - self.timeline.silent_since,
            upstream_to_move=self.upstream_to_move,
            untaken=self.untaken,
        )
        if isinstance(error, ConnectTimeout):
            self.let_go()
            self.unreached(error)
        elif error is not None:
            self.fail(error)
        elif self.phase in (RELAYING, TUNNEL) and unlimited(route.route):
            self.compiled.ticker.discard(self)
