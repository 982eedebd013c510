"""The way of a request to its route: found once for heads that are the same.

A client that asks for the same again sends the same head, byte for byte, and then it
is the same object. What was found of it depends on nothing but the head, the client
and the configuration. What depends on the body is looked at each time.
"""

from __future__ import annotations

from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.http1.framing import Body
from proxy.http1.head import RequestHead
from proxy.policy.forwarded import public_address
from proxy.policy.loop_detection import check_loop
from proxy.policy.path_rewrite import check_rewritten
from proxy.policy.routing import Destination
from proxy.policy.size_limits import check_body
from proxy.policy.webdav_destination import check_destination, moves


class Way:
    """Where requests with one head go. Only one that nothing was wrong with has it.

    `trusted`: what the client says of the hops before it counts.
    """

    __slots__ = ("compiled", "head", "route", "trusted", "where")

    def __init__(
        self,
        head: RequestHead,
        compiled: CompiledRoutes,
        where: Destination,
        route: CompiledRoute,
        *,
        trusted: bool,
    ) -> None:
        self.head = head
        self.compiled = compiled
        self.where = where
        self.route = route
        self.trusted = trusted

    def is_that_of(self, exchange: Exchange) -> bool:
        """Is it the way of this one, which has the same client?"""
        return self.head is exchange.head and self.compiled is exchange.compiled

    def take(self, exchange: Exchange, body: Body) -> tuple[CompiledRoute, bool]:
        """Go the same way again.

        Raises:
            RequestBodyTooLarge.
        """
        exchange.route = route = self.route
        exchange.timeline.route = route.prefix
        exchange.timeline.host = self.where.authority
        if self.trusted:
            exchange.believe()
        if not body.complete:
            check_body(body, route.route)
        return route, self.trusted


def find_way(
    exchange: Exchange, where: Destination, body: Body
) -> tuple[CompiledRoute, bool]:
    """Find the route of a request, and see that it may take it: `Way` says the rest.

    Raises:
        ClientError: it may not, or there is none.
    """
    head, client, compiled = exchange.head, exchange.client, exchange.compiled
    exchange.route = route = compiled.router.at(where)
    exchange.timeline.route = route.prefix
    exchange.timeline.host = where.authority
    trusted = route.may_trust and compiled.trusts(route, client.address)
    if trusted:
        exchange.believe()
    check_loop(head, route.route)
    if route.path_rules:
        check_rewritten(route.path_rules, where.path)
    if not body.complete:
        check_body(body, route.route)
    if moves(head):
        public = public_address(head, client.scheme, trusted)
        check_destination(head, public.authority, route.find)
    if client.planner.repeated is head:
        client.planner.way = Way(head, compiled, where, route, trusted=trusted)
    return route, trusted
