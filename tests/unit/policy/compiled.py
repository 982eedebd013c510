"""Routes for tests of messages: what a route has ready, without sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.config.route import FieldRules, HeaderRules, Route
from proxy.config.target import parse_target
from proxy.policy.header_fields import Rules
from proxy.policy.path_rewrite import Rules as PathRules
from proxy.policy.path_rewrite import compile_rules
from proxy.policy.routing import Destination


@dataclass
class CompiledRoute:
    """One route, its rules compiled."""

    route: Route
    path_rules: PathRules
    request_rules: Rules
    response_rules: Rules
    verbatim: bool = False

    def find(self, where: Destination) -> CompiledRoute:
        """The route of another path: there is no other route."""
        return self


ADDRESS = b"192.0.2.7"  # of a client


def compiled(
    target: str = "http://up:9000",
    *,
    change_origin: bool = False,
    trust_forwarded: bool = False,
    rewrite_origin: bool = False,
    path_rewrite: Mapping[str, str] | None = None,
    request: FieldRules | None = None,
    response: FieldRules | None = None,
) -> CompiledRoute:
    """A route for `/sse` with these options."""
    route = Route(
        prefix="/sse",
        targets=(parse_target(target),),
        change_origin=change_origin,
        trust_forwarded=trust_forwarded,
        rewrite_origin=rewrite_origin,
        path_rewrite=dict(path_rewrite or {}),
        headers=HeaderRules(
            request=request or FieldRules(), response=response or FieldRules()
        ),
    )
    return CompiledRoute(
        route,
        compile_rules(route.path_rewrite),
        Rules(route.headers.request, alike=True),
        Rules(route.headers.response),
    )
