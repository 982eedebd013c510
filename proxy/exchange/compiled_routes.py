"""A configuration made ready to serve: all that can be computed once, is.

Holds what exchanges share. A reload makes a new `CompiledRoutes`; exchanges that
run keep the one they began with.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.route_reader import table_name
from proxy.errors import concerning
from proxy.policy.header_fields import Rules
from proxy.policy.load_balancing import pick_target
from proxy.policy.path_rewrite import compile_rules
from proxy.policy.response_rewrite import ResponseRewrite
from proxy.policy.routing import Router
from proxy.policy.stream_identity import KeyPaths
from proxy.policy.trusted_proxies import TrustedProxies
from proxy.policy.webdav_destination import Find
from proxy.timeline import Clock
from proxy.transport.heartbeat import heartbeat
from proxy.transport.lenient_reading import Reading
from proxy.transport.ticker import Ticker
from proxy.transport.upstream import Upstream, Upstreams


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
        "begins_early",
        "find",
        "finishing",
        "heartbeat",
        "keeping",
        "lenient",
        "looks_at_requests",
        "path_rules",
        "prefix",
        "request_rules",
        "response_rewrite",
        "response_rules",
        "route",
        "turn",
        "upstreams",
        "verbatim",
    )

    def __init__(self, route: Route, upstreams: Sequence[Upstream]) -> None:
        self.route = route
        self.find: Find = self.itself  # the route of another path
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
        self.turn = 0
        self.heartbeat = heartbeat(
            route.heartbeat_seconds, route.heartbeat_padding_bytes
        )
        self.begins_early = self.heartbeat is not None and route.heartbeat_before_head
        # Is there anything to be done about the body of a request but to relay it?
        self.looks_at_requests = (
            route.max_body_bytes > 0
            or route.on_upstream_failure == "event"
            or self.begins_early
            or (route.resume is not None and route.resume.key.startswith("body:"))
        )
        # None: no request of this route can have to do with a kept stream.
        self.keeping: KeptRules | None = None
        if route.resume is not None or route.share is not None:
            self.keeping = KeptRules(None)
        self.finishing = Finishing()
        self.verbatim = False  # is its target another worker of this proxy?

    def itself(self, path: bytes) -> CompiledRoute:
        """Where there are no other routes."""
        return self

    def pick_target(self, upstreams: Sequence[Upstream], now: float) -> Upstream:
        """The one of `upstreams` that shall be asked now."""
        self.turn += 1
        return pick_target(upstreams, self.turn, now)


class CompiledRoutes:
    """All routes, the clock, and who wants to hear of ended exchanges."""

    __slots__ = (
        "by_prefix",
        "clock",
        "is_trusted",
        "key_paths",
        "resumes",
        "router",
        "ticker",
        "upstreams",
    )

    def __init__(
        self,
        config: Config,
        ticker: Ticker,
        before: CompiledRoutes | None = None,
    ) -> None:
        self.clock: Clock = ticker.clock
        self.ticker = ticker
        known = before.upstreams if before is not None else None
        self.upstreams: Upstreams = Upstreams(ticker, known)
        finishing = (
            {each.prefix: each.finishing for each in before.router.routes}
            if before is not None
            else {}
        )
        with concerning("[server] trusted_proxies"):
            self.is_trusted = TrustedProxies(config.server.trusted_proxies).includes
        routes: dict[str, CompiledRoute] = {}
        for prefix, route in config.routes.items():
            # A file, such as ca_file, may have gone since the check.
            with concerning(f"[{table_name(prefix)}]"):
                made = CompiledRoute(route, self.upstreams.of(route))
            made.finishing = finishing.get(prefix, made.finishing)
            routes[prefix] = made
        self.router: Router[CompiledRoute] = Router(routes)
        for made in routes.values():
            made.find = self.router.match
        self.by_prefix = routes
        self.resumes = any(each.resume is not None for each in config.routes.values())
        self.key_paths = key_paths(config)
        if self.key_paths is not None:
            for made in routes.values():  # a path may be below any of them
                made.keeping = KeptRules(self.key_paths)
        self.upstreams.before = {}

    def find(self, prefix: str) -> CompiledRoute | None:
        """The route of that prefix, if there still is one."""
        return self.by_prefix.get(prefix)

    def trusts(self, route: CompiledRoute, address: bytes) -> bool:
        """Does what a client says of the hops before it count?"""
        return route.route.trust_forwarded or self.is_trusted(address)

    def close(self, successor: CompiledRoutes | None = None) -> None:
        """Close upstream connections that nobody uses, or will."""
        self.upstreams.close(successor.upstreams if successor else None)


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
