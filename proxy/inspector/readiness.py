"""/_unbuffered/health and /_unbuffered/ready: shall a load balancer send requests here?

Not ready is who goes away, and who cannot take a connection. An upstream that is down
is no reason, nor is the store: all replicas have the same ones, and would all be taken
out at once. Then nobody would say 502 and why, and nobody serve what is in memory. A
limit that is reached (`max_exchanges`) is none either: it is answered request by
request, and over before the next probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

import msgspec

from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.inspector.own_response import JSON, OwnResponse
from proxy.inspector.peer_workers import OWN, fetch, owned
from proxy.kept.registry import KeptStreams
from proxy.kept.shared_store import SharedStore
from proxy.transport.client_host import ClientHost

DRAINING = "draining"
DESCRIPTORS = "no file descriptors left"


class ProbedServer(Protocol):
    """Who is asked."""

    compiled: CompiledRoutes
    siblings: tuple[str, ...]

    @property
    def kept(self) -> KeptStreams[Any]:
        """The streams that are kept."""

    @property
    def clients(self) -> Collection[ClientHost]:
        """All connections of clients."""

    @property
    def under_way(self) -> int:
        """How many exchanges there are."""

    @property
    def leaving(self) -> bool:
        """Is its end announced, or has it begun?"""

    @property
    def lacks_descriptors(self) -> bool:
        """Would the next connection be refused?"""


class Ready(msgspec.Struct):
    """What everybody is told."""

    ready: bool
    reasons: list[str]


class StoreDetails(msgspec.Struct):
    """How the store of all machines stands, as one worker sees it."""

    up: bool
    reason: str  # why not
    unwritten_bytes: int
    owned: int  # streams
    followed: int


class Details(Ready):
    """What is told besides, of all workers together."""

    exchanges: int = 0  # under way
    connections: int = 0
    kept_streams: int = 0
    workers: int = 1  # that have answered
    upstreams_down: list[str] = []
    store: StoreDetails | msgspec.UnsetType = msgspec.UNSET


def health(answer: OwnResponse, server: ProbedServer) -> None:
    """Does it serve, and go on serving?"""
    if server.leaving or answer.client.draining:
        answer.whole(503, JSON, b'{"status":"draining"}')
    else:
        answer.whole(200, JSON, b'{"status":"ready"}')


def ready(
    answer: OwnResponse, server: ProbedServer, *, details: bool, own: bool
) -> None:
    """Is it ready? The status is this worker's: a balancer asks again."""
    reasons = reasons_of(server, answer)
    if not details or answer.head.method == b"HEAD":
        send(answer, Ready(not reasons, reasons))
        return
    told = details_of(server, reasons)
    if own or not server.siblings:
        send(answer, told)
    else:
        owned(answer, gather(answer, server, told))


def reasons_of(server: ProbedServer, answer: OwnResponse) -> list[str]:
    """Why it is not ready; none if it is."""
    reasons = []
    if server.leaving or answer.client.draining:
        reasons.append(DRAINING)
    if server.lacks_descriptors:
        reasons.append(DESCRIPTORS)
    return reasons


def details_of(server: ProbedServer, reasons: list[str]) -> Details:
    """What this worker has."""
    return Details(
        not reasons,
        reasons,
        exchanges=server.under_way,
        connections=len(server.clients),
        kept_streams=len(server.kept.streams),
        upstreams_down=down(server.compiled),
        store=store_details(server.kept.shared),
    )


def store_details(store: SharedStore | None) -> StoreDetails | msgspec.UnsetType:
    """How it stands, where there is one."""
    if store is None:
        return msgspec.UNSET
    now = store.state()
    return StoreDetails(now.up, now.reason, now.unwritten, now.owned, now.followed)


def down(compiled: CompiledRoutes) -> list[str]:
    """The targets that cannot be reached, or are not healthy, at the moment."""
    return sorted(
        {
            each.health.name
            for each in compiled.upstreams
            if each.health.down_since is not None or not each.is_healthy
        }
    )


async def gather(answer: OwnResponse, server: ProbedServer, told: Details) -> None:
    """Add what the other workers have."""
    target = f"/_unbuffered/ready?{OWN}"
    found = await asyncio.gather(*(fetch(path, target) for path in server.siblings))
    for each in found:
        if each is not None:
            other = msgspec.json.decode(each[1], type=Details)
            told.exchanges += other.exchanges
            told.connections += other.connections
            told.kept_streams += other.kept_streams
            told.workers += 1
            both = {*told.upstreams_down, *other.upstreams_down}
            told.upstreams_down = sorted(both)
    send(answer, told)


def send(answer: OwnResponse, told: Ready) -> None:
    """Answer; 503 takes a target out of rotation."""
    body = msgspec.json.encode(told) + b"\n"
    answer.whole(200 if told.ready else 503, JSON, body)
