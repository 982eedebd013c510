"""At which worker a request meets the stream that it asks for.

An event id of ours says which worker has the stream. All other names are looked for at
one worker that each finds by itself: what clients have in common that ask for the same
decides which. So a new stream begins where those will look who come for it later.
"""

from __future__ import annotations

from typing import Any, Protocol

from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.exchange import Exchange, HandingOver
from proxy.exchange.handed_exchange import HandedExchange
from proxy.kept.registry import EVENTS, GROUP, KeptStreams, Name
from proxy.policy.connection_auth import binds_request
from proxy.policy.delivery import accepts_events
from proxy.policy.resumption import is_mcp
from proxy.policy.sharing import share_group
from proxy.policy.stream_identity import (
    last_event_id,
    owner_of,
    parse_event_id,
    without_cursor,
)


class NamedRequest(Protocol):
    """The request."""

    exchange: Exchange
    route: CompiledRoute

    @property
    def registry(self) -> KeptStreams[Any]:
        """The streams of this worker."""

    @property
    def idempotency_name(self) -> Name | None:
        """By what a repetition of the request is known, if it can be."""

    @property
    def path_alone(self) -> bytes:
        """What is asked for, without the cursor."""

    @property
    def strict_print(self) -> bytes:
        """The client, for names that can be guessed."""


def other_worker(asked: NamedRequest, peers: HandingOver) -> int | None:
    """The worker that a request is handed over to; None: it stays here.

    Raises:
        MalformedRequest: its cursor is not one.
    """
    exchange = asked.exchange
    handed = isinstance(exchange, HandedExchange)
    if isinstance(exchange, HandedExchange) and exchange.last:
        return None
    ours = None
    if asked.route.route.resume is not None:
        cursor = last_event_id(exchange.head)
        ours = None if cursor is None else parse_event_id(cursor)
    if ours is not None:
        owner, registry = owner_of(ours.stream), asked.registry
        if owner == peers.number:
            if ours.stream in registry.streams or ours.stream in registry.gone:
                return None
        elif owner is not None and owner < peers.count and not handed:
            return owner
    elif handed:
        return None
    name = meeting_point(asked)
    if name is None:
        return None
    worker = peers.home(*name)
    return None if worker == peers.number else worker


def key_worker(
    exchange: Exchange, peers: HandingOver, name: Name, who: bytes
) -> int | None:
    """The worker to be asked for a key; None: this one.

    That which the key decides knows which one has the stream.
    """
    if isinstance(exchange, HandedExchange) and (
        exchange.last or peers.home(name, b"") != peers.number
    ):
        return None
    worker = peers.keeper(name, who)
    return None if worker == peers.number else worker


def meeting_point(asked: NamedRequest) -> tuple[Name, bytes] | None:
    """What all have in common that may get one stream, whichever comes first."""
    head, route = asked.exchange.head, asked.route
    resume, share = route.route.resume, route.route.share
    if binds_request(head):
        return None
    repeated = asked.idempotency_name
    if repeated is not None:
        return repeated, asked.strict_print
    if share is not None:
        path = asked.path_alone
        whole = head if resume is None else without_cursor(head)
        group = share_group(whole, path, share.by, asked.registry.secret)
        if group is not None:
            return Name(GROUP, route.prefix, group), b""
    if resume is not None and (accepts_events(head) or is_mcp(head)):
        return Name(EVENTS, route.prefix, asked.path_alone), asked.strict_print
    return None
