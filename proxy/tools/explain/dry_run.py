"""A request that goes all the way to its upstream, and stops one step before.

Nothing is judged here: the bytes of the request go into the client connection
that serves clients, and an exchange runs as in `forward`, up to the point at
which it would connect. So what is shown is what happens. There is no socket, and no
clock runs.
"""

from __future__ import annotations

import asyncio

from proxy.config.model import Config
from proxy.config.target import Target
from proxy.errors import ClientError, ProxyError
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.exchange.forward import Forward
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.head import RequestHead
from proxy.inspector.access import Access, Judgement
from proxy.inspector.access_rule import Asked, asked, in_origin_form
from proxy.inspector.withheld import Withheld
from proxy.inspector.wrong_tokens import WrongTokens
from proxy.kept.registry import KeptStreams
from proxy.policy.error_response import Failure
from proxy.policy.request_id import RequestIds
from proxy.policy.request_plan import RequestPlan
from proxy.server.admin_door import NOT_OPEN
from proxy.server.https_redirect import location, served_by_http
from proxy.server.stream_address import STREAMS
from proxy.timeline import CallTimeline, monotonic
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.ticker import Ticker


class Paper(asyncio.Transport):
    """A transport without a socket; what is written to it is let go."""

    def __init__(self, address: str, *, tls: bool) -> None:
        super().__init__({"peername": (address, 0), "ssl_object": tls or None})

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        pass


class Stopped(Ticker):
    """A ticker that never ticks."""

    def schedule(self) -> None:
        pass


class DryForward(Forward):
    """Plans the request to each target, and connects to none."""

    __slots__ = ("plans",)

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.plans: dict[Target, RequestPlan] = {}

    def begin(self, call: UpstreamCall) -> None:
        for upstream in call.route.upstreams:
            self.plans[upstream.target] = call.plan_for(upstream)


class DryRun:
    """What becomes of one request under a configuration."""

    def __init__(
        self,
        config: Config,
        request: bytes,
        address: str,
        *,
        tls: bool,
        admin: bool = False,
        https_port: int | None = None,
    ) -> None:
        self.config = config
        self.address = address
        self.tls = tls
        self.admin = admin  # does it come to the admin listener?
        self.https_port = https_port  # to which its listener redirects, if it does
        self.moved = b""  # the place by https that the client is sent to
        self.forward: DryForward | None = None  # none: the bytes are no request
        self.refused: ProxyError | None = None
        self.head: RequestHead | None = None
        self.own: Asked | None = None  # what is the proxy's own to answer
        self.answered = False  # does it, to this client?
        self.needs_token = False  # is it open by a token alone?
        self.at_stream = False  # is a kept stream asked for by its ID?
        self.denied: tuple[int, str] = (0, "")  # status and reason, if it refuses
        ticker = Stopped(monotonic)
        self.kept: KeptStreams[KeptStream] = KeptStreams(config.store.max_bytes, 0, b"")
        self.peers = None
        self.compiled = CompiledRoutes(config, ticker)
        if self.compiled.request_ids is not None:
            self.compiled.request_ids = RequestIds(b"example")
        self.client = ClientConnection(self, ticker, config.server)
        self.client.connection_made(Paper(address, tls=tls))
        self.client.data_received(request)

    @property
    def error(self) -> ProxyError | None:
        """Why nothing would be sent, if so."""
        return self.forward.exchange.timeline.error if self.forward else self.refused

    @property
    def answer(self) -> dict[str, object]:
        """What the client is told instead, as its JSON body says it."""
        assert self.error is not None
        route = self.forward.exchange.route if self.forward else None
        prefixes = tuple(self.compiled.router.prefixes) if self.forward else ()
        failure = Failure(
            self.error, 0.0, route=route.prefix if route else None, routes=prefixes
        )
        told = failure.to_dict()
        del told["elapsed_seconds"]  # nothing has taken any time
        return told

    # -- what a client connection asks for

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Plan a request, for each target of its route."""
        port = self.https_port
        if port is not None and not served_by_http(client, head, self.compiled):
            self.redirect(client, head, port)
            return
        self.head = head = in_origin_form(head)
        if self.compiled.resumes and head.target.startswith(STREAMS):
            self.at_stream = True
            client.finish()
            return
        access = Access(self.config, WrongTokens(monotonic), WrongTokens(monotonic))
        self.own = question = asked(self.config, head, admin=self.admin)
        if question is not None:
            judged = access.judge(question, client, head)
            self.needs_token = access.needs_token(question)
            if judged is None and self.admin:
                judged = Judgement(404, NOT_OPEN)
            if judged is not None:
                self.answered = True
                self.denied = (judged.status, judged.reason)
                client.finish()
                return
        exchange = Exchange(
            self, client, Withheld(self.config, access).from_request(head)
        )
        client.exchange = exchange
        self.forward = DryForward(exchange)
        self.forward.start()

    def redirect(self, client: HostedStream, head: RequestHead, port: int) -> None:
        """The request comes to a listener with `https_redirect`."""
        self.head = head
        try:
            self.moved = location(head, port)
        except ClientError as error:
            self.refused = error
        client.finish()

    def stream_truncated(self, exchange: Exchange) -> None:
        """Nothing is streamed here."""

    def stream_begun(self, exchange: Exchange) -> None:
        """Nothing is recorded here."""

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """Nothing is recorded here."""

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """Nothing is recorded here."""

    def answer_ended(self, exchange: Exchange) -> None:
        """There is nothing to count."""

    def exchange_ended(self, exchange: Exchange) -> None:
        """There is nothing to count."""

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """The bytes are no request."""
        self.refused = error
        client.finish()

    def opened(self, client: ClientHost) -> None:
        """There is nothing to count."""

    def closed(self, client: ClientHost) -> None:
        """There is nothing to count."""
