"""One request to an upstream, from the choice of its target to its response head.

    2a pick_target  open exchanges     -> which target?
    2b connect      an idle connection -> or a new one, or back to 2a: `dial`
    2c connected    the request's head -> written; step 3 sends the body
    4  response     the response head  -> to the exchange, and the connection with it

The numbers are those of `forward`.

Its account is `timeline.call`. What becomes of the response is decided by whom it is
made for.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from proxy.errors import (
    ConnectTimeout,
    MalformedResponse,
    ProxyError,
    UpstreamDisconnected,
    UpstreamError,
)
from proxy.exchange.call_listener import CallListener
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.dial import Dial
from proxy.exchange.exchange import Exchange
from proxy.http1.framing import Body, LengthBody
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.policy.connection_auth import binds_request, binds_response, may_bind
from proxy.policy.request_plan import IDEMPOTENT, RequestPlan
from proxy.policy.routing import Destination
from proxy.policy.size_limits import check_interim
from proxy.timeline import CallTimeline, Clock
from proxy.transport.client_stream import ClientStream
from proxy.transport.private_connections import PrivateConnections
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection


class CallOwner(Protocol):
    """For whom a call is made."""

    def connecting(self, now: float) -> None:
        """There was no idle connection: a new one is being opened."""

    def connected(self, now: float, plan: RequestPlan) -> None:
        """A connection stands, and the head of the request is about to go out."""

    def send_body(self, body: Body, connection: UpstreamConnection) -> None:
        """The request's head is written: its body follows."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response other than 101."""

    def response(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """The final response head, or 101."""

    def fail(self, error: ProxyError) -> None:
        """There will be no response head."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class UpstreamCall:
    """One request to one of a route's targets."""

    __slots__ = (
        "account",
        "body",
        "client",
        "clock",
        "connection",
        "dial",
        "head",
        "owner",
        "repeatable",
        "request_id",
        "route",
        "taken",
        "trusted",
        "untaken",
        "upgrade",
        "upstream",
        "where",
    )

    def __init__(
        self,
        owner: CallOwner,
        exchange: Exchange,
        route: CompiledRoute,
        where: Destination,
        body: Body,
        *,
        trusted: bool,
        upgrade: bool,
    ) -> None:
        self.owner = owner
        self.client: ClientStream = exchange.client
        self.head: RequestHead = exchange.head
        self.body = body
        self.where = where
        self.route = route
        self.trusted = trusted
        self.request_id: bytes = exchange.timeline.request_id
        self.account: CallTimeline = exchange.timeline.call
        self.clock: Clock = exchange.compiled.clock
        self.upgrade = upgrade
        self.repeatable = body.complete and self.head.method in IDEMPOTENT
        self.upstream: Upstream | None = None  # the target that was chosen last
        self.dial: Dial | None = None
        self.connection: UpstreamConnection | None = None
        # Of an upload, as of the last look: bytes that wait, and that did not.
        self.untaken = self.taken = 0

    # 2a. Which target?

    def pick_target(self, upstreams: Sequence[Upstream]) -> None:
        """Ask one of the targets."""
        private = self.client.private
        upstream: Upstream | None
        if len(upstreams) == 1:
            upstream = upstreams[0]
        elif private is None or (upstream := private.among(upstreams)) is None:
            upstream = self.route.choice.pick(self, upstreams)
            if upstream is None:  # see `pick_once`
                return
        self.use(upstream)
        # 2b. A connection.
        connection = None if private is None else private.take(upstream)
        if connection is None:
            connection = upstream.pop_idle()
        if connection is None:
            self.connect(upstream)
        else:
            self.connected(connection)

    def pick_once(
        self, finding: Coroutine[Any, Any, None], upstreams: Sequence[Upstream]
    ) -> None:
        """Ask one of the targets once it is known by what to choose."""
        self.dial = Dial(self, self.route, self.account, self.clock)
        self.dial.pick_once(finding, upstreams)

    def use(self, upstream: Upstream) -> None:
        """Be one of the open exchanges of a target, and of no other."""
        if self.upstream is not None:
            self.upstream.open -= 1
        self.upstream = upstream
        self.account.upstream = upstream.health.name
        upstream.open += 1

    def connect(self, upstream: Upstream) -> None:
        """Open a connection."""
        account, now = self.account, self.clock()
        if self.dial is None:
            self.dial = Dial(self, self.route, account, self.clock)
        if account.sought is None:
            account.sought = now
        self.owner.connecting(now)
        self.dial.connect(upstream)

    def answer_to(self, owner: CallOwner) -> None:
        """Have another owner from now on; those who listen in between stay."""
        listener = self.owner
        if not isinstance(listener, CallListener):
            self.owner = owner
            return
        while isinstance(listener.owner, CallListener):
            listener = listener.owner
        listener.owner = owner

    def connect_failed(self, error: ProxyError) -> None:
        """No target can be reached."""
        self.owner.fail(error)

    def connect_timed_out(self, error: ConnectTimeout) -> None:
        """The attempt that runs takes too long: as if it had failed."""
        if self.dial is not None and self.upstream is not None:
            self.dial.cancel()
            self.dial.failed(self.upstream, error)

    @property
    def waits(self) -> bool:
        """Does it wait until it asks all targets again?"""
        return self.dial is not None and self.dial.again_at is not None

    # 2c. The request.

    def plan_for(self, upstream: Upstream) -> RequestPlan:
        """The request as this target gets it."""
        return self.client.planner.plan(
            self.head,
            self.body,
            self.route,
            upstream.target,
            self.where.path,
            self.where.authority,
            trusted=self.trusted,
            upgrade=self.upgrade,
            request_id=self.request_id,
        )

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the head of the request."""
        assert self.upstream is not None
        self.connection = connection
        self.account.connected = now = self.clock()
        plan = self.plan_for(self.upstream)
        self.owner.connected(now, plan)
        if b"authorization" in self.head.index and binds_request(self.head):
            self.bind(connection)
        route = self.route
        limits = route.route
        connection.limit_buffer(limits.max_buffer_bytes)
        connection.serve(self, limits.max_response_head_bytes, route.lenient)
        connection.write_head(plan.text, chunked=not isinstance(self.body, LengthBody))
        self.owner.send_body(self.body, connection)
        connection.flush_head()

    def bind(self, connection: UpstreamConnection) -> None:
        """Let nobody but this client use a connection from now on."""
        client = self.client
        if client.private is None:
            client.private = PrivateConnections()
        connection.owner = client.private

    def takes_upload(self, received: int) -> bool:
        """Does the upstream take any of the body that waits for it?

        `received` is how many bytes of it have come from the client so far. As
        long as it does, no clock of its silence runs.
        """
        connection = self.connection
        if connection is None or self.client.request_complete:
            self.untaken = 0
            return False
        paused = self.client.paused
        untaken = connection.transport.get_write_buffer_size() if paused else 0
        # The buffer may have as many bytes as before, and be full of others.
        taken = received - untaken
        if untaken and taken == self.taken:
            return False
        self.untaken, self.taken = untaken, taken
        return True

    # 4. The response.

    def informational(self, head: ResponseHead) -> None:
        """A 1xx response on the way to the final one (RFC 9110 §15.2)."""
        connection = self.connection
        assert connection is not None
        try:
            check_interim(
                connection.informational,
                self.clock() - (self.account.connected or 0.0),
                self.route.route.max_interim_per_second,
            )
        except MalformedResponse as error:
            self.owner.fail(error)
            return
        self.owner.interim(head)

    def response(self, head: ResponseHead) -> None:
        """The final response head is here, or 101."""
        account, connection = self.account, self.connection
        assert connection is not None
        if may_bind(head) and binds_response(head):
            self.bind(connection)
        account.head_received = account.silent_since = self.clock()
        account.content_type = head.index.get(b"content-type")
        self.dial = None
        self.owner.response(self, head, connection)

    def upstream_failed(self, error: UpstreamError) -> None:
        """The upstream broke before its response head was complete.

        A kept connection may have been closed just as the request went out:
        then the request is sent once more on a new one, if it may be repeated
        (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
        """
        connection, upstream = self.connection, self.upstream
        assert connection is not None
        assert upstream is not None
        if (
            isinstance(error, UpstreamDisconnected)
            and connection.reused
            and not connection.ahead
            and not connection.informational
            and self.repeatable
        ):
            self.connection = None
            self.account.retries += 1
            self.connect(upstream)
            return
        self.owner.fail(error)

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it worked for this call."""
        self.owner.crashed(place, error)

    # The end.

    def release(self, *, tunnel: bool) -> None:
        """All went well: the connection may serve again, if it can."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:  # as `release_target`, without a call
            upstream.open -= 1
        connection = self.connection
        if connection is None:
            return
        try:
            if tunnel:
                connection.close_tunnel()
            elif self.client.request_complete:
                connection.release()
            else:
                connection.drop()
        except Exception as error:
            report("returning an upstream connection to the pool", error)
            connection.abort()

    def abort(self) -> None:
        """Close whatever there is towards the upstream."""
        self.release_target()
        dial, self.dial = self.dial, None
        if dial is not None:
            dial.cancel()
        if self.connection is not None:
            self.connection.drop()

    def release_target(self) -> None:
        """Be no open exchange of the target any more."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.open -= 1
