"""How the targets of a route are asked whether they are well, if they are. Pure."""

from __future__ import annotations

from typing import NamedTuple

from proxy import __version__
from proxy.config.route import Route
from proxy.config.target import Target
from proxy.http1.grammar import Fields
from proxy.policy.header_fields import Rules

USER_AGENT = (b"User-Agent", f"unbuffered/{__version__} (health check)".encode())
ACCEPT = (b"Accept", b"*/*")


class HealthRule(NamedTuple):
    """One way of asking. Targets that are asked alike are asked once.

    `fields`: as the route sends them to its upstreams by `headers.request`. There is no
    client whose Host could be sent: it is the target's, unless the route sets one.
    """

    path: str
    interval: float
    timeout: float
    unhealthy_after: int
    healthy_after: int
    fields: tuple[tuple[bytes, bytes], ...]

    @property
    def request(self) -> str:
        """What is asked, as a person writes it; a query may have a key."""
        path, mark, _ = self.path.partition("?")
        return f"GET {path}{mark and '?****'}"


def health_rule(route: Route, target: Target) -> HealthRule | None:
    """How a target of a route is asked; None: it is not."""
    if not route.health_path:
        return None
    fields: Fields = [(b"Host", target.authority), USER_AGENT, ACCEPT]
    fields = Rules(route.headers.request, alike=True).apply(fields)
    return HealthRule(
        route.health_path,
        route.health_interval_seconds,
        route.health_timeout_seconds,
        route.unhealthy_after,
        route.healthy_after,
        tuple(fields),
    )


def is_healthy_status(status: int) -> bool:
    """Does a response say that a target is well? As in Kubernetes and HAProxy."""
    return 200 <= status <= 399
