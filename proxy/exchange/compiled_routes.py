"""A configuration made ready to serve: all that can be computed once, is.

Holds what exchanges share. A reload makes a new `CompiledRoutes`; exchanges that
run keep the one they began with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.route_reader import table_name
from proxy.errors import concerning
from proxy.exchange.client_counts import ClientCounts
from proxy.exchange.stream_age import StreamAges
from proxy.exchange.stream_limit import StreamLimit
from proxy.exchange.target_choice import LeastOpen, TargetChoice, target_choice
from proxy.kept.session_table import SessionTable
from proxy.policy.error_detail import ErrorDetail
from proxy.policy.fault_engine import FaultSource
from proxy.policy.header_fields import Rules
from proxy.policy.path_rewrite import compile_rules
from proxy.policy.request_id import RequestIds
from proxy.policy.response_rewrite import ResponseRewrite
from proxy.policy.routing import Destination, Router, router_of
from proxy.policy.stream_identity import KeyPaths
from proxy.policy.trusted_proxies import TrustedProxies
from proxy.policy.webdav_destination import Find
from proxy.timeline import Clock
from proxy.transport.heartbeat import heartbeat
from proxy.transport.lenient_reading import Reading
from proxy.transport.ticker import Ticker
from proxy.transport.upstream import Upstream, Upstreams

# Makes what listens to a call, and to the pieces of both bodies: see `tapped_call`.
TapMaker: TypeAlias = Callable[[Any], Any]


class Finishing:
    """How many exchanges of a route go on without a client: see `absent_client`.

    A reload does not change it.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class KeptRules:
    """Of a route whose requests may take up kept streams. `paths`: those with a key."""

    __slots__ = ("paths",)

    def __init__(self, paths: KeyPaths | None) -> None:
        self.paths = paths


class CompiledRoute:
    """One route: its compiled rules and its targets with their connections."""

    __slots__ = (
        "adds_to_head",
        "ages",
        "begins_early",
        "choice",
        "faults",
        "find",
        "finishing",
        "heartbeat",
        "keeping",
        "lenient",
        "looks_at_requests",
        "may_trust",
        "path_rules",
        "prefix",
        "request_rules",
        "response_rewrite",
        "response_rules",
        "route",
        "stream_limit",
        "taps",
        "upstreams",
        "verbatim",
    )

    def __init__(self, route: Route, upstreams: Sequence[Upstream]) -> None:
        self.route = route
        self.find: Find = self.itself  # the route of another place
        self.prefix = route.prefix
        self.path_rules = compile_rules(route.path_rewrite)
        self.request_rules = Rules(route.headers.request, alike=True)
        self.response_rules = Rules(route.headers.response)
        publishing = ResponseRewrite(route)
        self.response_rewrite = None if publishing.idle else publishing
        self.upstreams = tuple(upstreams)
        self.lenient: Reading | None = None
        if route.upstream_parsing == "lenient":
            from proxy.http1.lenient import Lenient

            self.lenient = Lenient()
        self.choice: TargetChoice = LeastOpen()
        self.heartbeat = heartbeat(
            route.heartbeat_seconds, route.heartbeat_padding_bytes
        )
        self.begins_early = self.heartbeat is not None and route.heartbeat_before_head
        # Is there anything to be done about the body of a request but to relay it?
        self.looks_at_requests = (
            route.max_body_bytes > 0
            or route.names_requests
            or self.begins_early
            or route.max_streams_per_client > 0
            or (route.resume is not None and route.resume.key.startswith("body:"))
        )
        # None: no request of this route can have to do with a kept stream.
        self.keeping: KeptRules | None = None
        if route.resume is not None or route.share is not None:
            self.keeping = KeptRules(None)
        self.finishing = Finishing()
        self.ages: StreamAges | None = None  # if its streams have one
        self.stream_limit: StreamLimit | None = None  # of each client
        self.faults: FaultSource | None = None  # what its upstream does wrong
        # Does the proxy say something of its own in the heads of responses?
        self.adds_to_head: bool = route.server_timing
        # Are there clients whose word on the hops before them counts?
        self.may_trust: bool = route.trust_forwarded
        self.taps: tuple[TapMaker, ...] = ()  # of each call, the innermost first
        self.verbatim = False  # is its target another worker of this proxy?

    def itself(self, where: Destination) -> CompiledRoute:
        """Where there are no other routes."""
        return self


class CompiledRoutes:
    """All routes, the clock, and who wants to hear of ended exchanges."""

    __slots__ = (
        "by_prefix",
        "clock",
        "counts",
        "error_detail",
        "is_trusted",
        "key_paths",
        "request_ids",
        "resumes",
        "router",
        "sessions",
        "tells_ids",
        "ticker",
        "upstreams",
    )

    def __init__(
        self,
        config: Config,
        ticker: Ticker,
        before: CompiledRoutes | None = None,
        counts: ClientCounts | None = None,
    ) -> None:
        self.clock: Clock = ticker.clock
        self.ticker = ticker
        known = before.upstreams if before is not None else None
        self.upstreams: Upstreams = Upstreams(ticker, known)
        if before is not None:
            counts = before.counts
        self.counts: ClientCounts = counts or ClientCounts(b"")  # streams of clients
        finishing = (
            {each.prefix: each.finishing for each in before.router.routes}
            if before is not None
            else {}
        )
        with concerning("[server] trusted_proxies"):
            self.is_trusted = TrustedProxies(config.server.trusted_proxies).includes
            self.error_detail = ErrorDetail(config)
        self.request_ids = request_ids(config, before)
        self.tells_ids: bool = config.server.request_id == "response"  # to clients
        # Which target has made which session; it outlives a reload.
        self.sessions: SessionTable = (
            SessionTable(clock=ticker.clock) if before is None else before.sessions
        )
        routes: dict[str, CompiledRoute] = {}
        for prefix, route in config.routes.items():
            # A file, such as ca_file, may have gone since the check.
            with concerning(f"[{table_name(prefix)}]"):
                made = CompiledRoute(route, self.upstreams.of(route))
            made.choice = target_choice(
                route, made.upstreams, self.is_trusted, self.sessions
            )
            made.finishing = finishing.get(prefix, made.finishing)
            made.may_trust |= bool(config.server.trusted_proxies)
            made.adds_to_head |= self.tells_ids
            if route.fault:
                made.faults = fault_source(route, config.server.fault_seed, before)
            if route.max_age_seconds:
                made.ages = StreamAges(route.max_age_seconds, ticker)
            if route.max_streams_per_client:
                made.stream_limit = StreamLimit(
                    route, self.counts, self.is_trusted, self.clock
                )
            routes[prefix] = made
        self.router: Router[CompiledRoute] = router_of(routes)
        for made in routes.values():
            made.find = self.router.at
        self.by_prefix = routes
        self.resumes = any(each.resume is not None for each in config.routes.values())
        self.key_paths = key_paths(config)
        if self.key_paths is not None:
            for made in routes.values():  # a path may be below any of them
                made.keeping = KeptRules(self.key_paths)
        self.upstreams.before = {}

    @property
    def learns(self) -> bool:
        """May a target hand out sessions that decide where requests go?"""
        found = [each.choice.by_value for each in self.by_prefix.values()]
        return any(each is not None and each.learns for each in found)

    @property
    def without_healthy_target(self) -> list[str]:
        """The routes whose targets all fail their checks; they are still asked."""
        return [
            prefix
            for prefix, each in self.by_prefix.items()
            if not any(upstream.is_healthy for upstream in each.upstreams)
        ]

    def find(self, prefix: str) -> CompiledRoute | None:
        """The route of that prefix, if there still is one."""
        return self.by_prefix.get(prefix)

    def trusts(self, route: CompiledRoute, address: bytes) -> bool:
        """Does what a client says of the hops before it count?"""
        return route.route.trust_forwarded or self.is_trusted(address)

    def close(self, successor: CompiledRoutes | None = None) -> None:
        """Close upstream connections that nobody uses, or will."""
        self.upstreams.close(successor.upstreams if successor else None)


def fault_source(route: Route, seed: int, before: CompiledRoutes | None) -> FaultSource:
    """What requests of a route have for faults; a reload that changes none goes on."""
    old = before.find(route.prefix) if before is not None else None
    known = old.faults if old is not None else None
    if known is not None and (known.faults, known.seed) == (route.fault, seed):
        return known
    return FaultSource(route.fault, seed, route.prefix)


def request_ids(config: Config, before: CompiledRoutes | None) -> RequestIds | None:
    """Who gives requests their ids, if they have some; no reload begins anew."""
    if not config.server.request_id:
        return None
    known = before.request_ids if before is not None else None
    return known or RequestIds()


def key_paths(config: Config) -> KeyPaths | None:
    """Where streams are asked for by the application's key, if anywhere."""
    templates = [
        (prefix, kind, template)
        for prefix, route in config.routes.items()
        if route.resume is not None
        for kind, template in (
            (b"path", route.resume.path),
            (b"stop", route.resume.stop),
        )
        if template
    ]
    return KeyPaths(templates) if templates else None
