"""A configuration made ready to serve: all that can be computed once, is.

Holds what exchanges share. A reload makes a new `Prepared`; exchanges that
run keep the one they began with.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.config.model import Config, Route
from proxy.policy.fields import Rules
from proxy.policy.rewrite import compile_rules
from proxy.policy.routing import Router
from proxy.timeline import Clock, Timeline
from proxy.transport.deadlines import Deadlines
from proxy.transport.upstream import Upstream


class PreparedRoute:
    """One route: its compiled rules and its upstream's connections."""

    __slots__ = (
        "path_rules",
        "prefix",
        "request_rules",
        "response_rules",
        "route",
        "upstream",
    )

    def __init__(self, route: Route, deadlines: Deadlines) -> None:
        self.route = route
        self.prefix = route.prefix
        self.path_rules = compile_rules(route.path_rewrite)
        self.request_rules = Rules(route.headers.request)
        self.response_rules = Rules(route.headers.response)
        self.upstream = Upstream(route, deadlines)


class Prepared:
    """All routes, the clock, and who wants to hear of ended exchanges."""

    __slots__ = ("clock", "deadlines", "ended", "router")

    def __init__(
        self,
        config: Config,
        deadlines: Deadlines,
        ended: Callable[[Timeline], None],
    ) -> None:
        self.clock: Clock = deadlines.clock
        self.deadlines = deadlines
        self.ended = ended
        self.router = Router(
            {
                prefix: PreparedRoute(route, deadlines)
                for prefix, route in config.routes.items()
            }
        )

    def close(self) -> None:
        """Close upstream connections that are not in use."""
        for route in self.router.routes:
            route.upstream.close()
