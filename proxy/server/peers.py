"""The other workers of the same proxy, as those to whom requests are handed over.

A kept or shared stream belongs to one worker. Its ID says which. By what a client and
its request have in common with others, each worker finds the same one without asking.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from proxy.config.route import HeaderRules, Route
from proxy.config.target import Target
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.exchange.hand_over import Declined, HandOver
from proxy.http1.framing import Body
from proxy.kept.registry import KeptStreams, Name
from proxy.policy.routing import Destination
from proxy.server.health_checks import HealthChecks
from proxy.server.peer_names import PeerNames
from proxy.timeline import monotonic
from proxy.transport.connector import Connector
from proxy.transport.resolver import Resolver
from proxy.transport.ticker import Ticker
from proxy.transport.upstream import Upstream

CONNECT_SECONDS = 2.0  # for another worker on the same machine
HEAD_ROOM = 16 * 1024  # bytes that a response head may have more than its upstream's


class PeersOwner(Protocol):
    """The server of this worker."""

    number: int
    siblings: tuple[str, ...]
    ticker: Ticker
    health_checks: HealthChecks

    @property
    def kept(self) -> KeptStreams[Any]:
        """The streams of this worker."""

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes."""


class Peers:
    """See above. A reload changes the routes only."""

    def __init__(self, owner: PeersOwner) -> None:
        self.owner = owner
        sessions = owner.compiled.sessions
        checks = owner.health_checks
        self.names = PeerNames(self, owner.kept, sessions, checks, monotonic)
        self.upstreams: dict[int, Upstream] = {}
        self.routes: dict[tuple[CompiledRoute | None, int], CompiledRoute] = {}

    @property
    def number(self) -> int:
        """Of this worker."""
        return self.owner.number

    @property
    def count(self) -> int:
        """How many workers there are, this one included."""
        return len(self.owner.siblings) + 1

    def path(self, worker: int) -> str:
        """The Unix socket of another worker."""
        return self.owner.siblings[worker - (worker > self.number)]

    def home(self, name: Name, who: bytes) -> int:
        """The worker at which all meet who ask for the same."""
        text = b"%b\n%b\n%d:%b%b" % (
            name.kind.encode(),
            name.route.encode(),
            len(name.value),
            name.value,
            who,
        )
        digest = blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count

    def keeper(self, name: Name, who: bytes) -> int:
        """Which worker to ask for a key: that which has it, or knows who has."""
        return self.names.keeper(name, who)

    def stop(self, name: Name, who: bytes) -> None:
        """End the streams of a key that are known, whoever has them."""
        self.names.stop(name, who)

    def is_taken(self, name: Name) -> bool:
        """Is it known that another worker has a stream of that key?"""
        return self.names.directory.is_taken(name)

    def hand_over(
        self,
        exchange: Exchange,
        worker: int,
        route: CompiledRoute | None,
        where: Destination,
        body: Body,
        declined: Declined,
        *,
        last: bool = False,
    ) -> None:
        """Have another worker answer a request.

        `route`: None if it is not known here. `declined`: called if it cannot.
        """

        def find(prefix: str) -> CompiledRoute | None:
            found = self.owner.compiled.find(prefix)
            return None if found is None else self.route(found, worker)

        hand_over = HandOver(exchange, declined, find)
        hand_over.hand_over(self.route(route, worker), where, body, last=last)

    def route(self, route: CompiledRoute | None, worker: int) -> CompiledRoute:
        """A route whose target is another worker, and that changes nothing."""
        key = (route, worker)
        made = self.routes.get(key)
        if made is None:
            upstream = self.upstream(worker)
            options = plain(None if route is None else route.route, upstream.target)
            self.routes[key] = made = CompiledRoute(options, [upstream])
            made.verbatim = True
            if route is not None:  # this worker has the client
                made.stream_limit = route.stream_limit
        return made

    def upstream(self, worker: int) -> Upstream:
        """Another worker as a target. Each request has a connection of its own."""
        made = self.upstreams.get(worker)
        if made is None:
            path = self.path(worker)
            name = f"worker {worker}"
            target = Target(name, "http", "localhost", 0, b"localhost", b"", path)
            connector = Connector(target, None, Resolver())
            made = Upstream(target, connector, 0.0, self.owner.ticker)
            self.upstreams[worker] = made
        return made

    def close(self) -> None:
        """The process ends."""
        self.names.close()

    def reloaded(self) -> None:
        """The routes are others."""
        self.routes.clear()
        self.prepare()

    def prepare(self) -> None:
        """Be ready for the first key of an application, or session of a target.

        Where a route may have them.
        """
        if self.owner.siblings and not self.names.closed:
            compiled = self.owner.compiled
            self.names.want_links(
                compiled.key_paths is not None
                or compiled.learns
                or any(each.verdict is not None for each in compiled.upstreams)
            )


def plain(route: Route | None, target: Target) -> Route:
    """The options of a route, as far as they count for who relays its responses."""
    if route is None:
        route = Route(prefix="/_unbuffered/streams/", targets=(target,))
    head_bytes = route.max_response_head_bytes
    return msgspec.structs.replace(
        route,
        targets=(target,),
        accept_encoding="client",
        balance="least_open",
        change_origin=False,
        connect_retry_seconds=0.0,
        connect_timeout_seconds=CONNECT_SECONDS,
        cookie_domain_rewrite={},
        cookie_path_rewrite={},
        cookie_secure="keep",
        decode="never",
        first_byte_timeout_seconds=0.0,
        headers=HeaderRules(),
        health_path="",
        heartbeat_before_head=False,
        heartbeat_seconds=0.0,
        idle_timeout_seconds=0.0,
        max_age_seconds=0.0,
        max_body_bytes=0,
        max_duration_seconds=0.0,
        max_interim_per_second=0,
        max_response_head_bytes=head_bytes and head_bytes + HEAD_ROOM,
        on_client_leave="close",
        path_rewrite={},
        redirect_rewrite=False,
        resume=None,
        rewrite_origin=False,
        server_timing=False,
        share=None,
        upstream_parsing="strict",
        ws=False,
    )
