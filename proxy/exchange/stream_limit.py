"""How many streams one client of a route may have: `max_streams_per_client`.

A stream is a response of a stream's type (an event stream, NDJSON, a JSON sequence), or
a tunnel, for as long as its client reads it. A request is counted as soon as it is
known to be one:

    begin       by its head: it accepts nothing else, or asks for a tunnel
    asks        by its JSON body: "stream": true, before the end of the body goes on
    judge       by the head of its response, which also may say that it is none

So of a thousand that come at once no more go on than there is room for; and what asks
for a page, or calls an API, is never counted and never waits.
"""

from __future__ import annotations

import logging
from random import randint
from typing import Protocol

from proxy.config.route import Route
from proxy.errors import TooManyStreams
from proxy.exchange.client_counts import ClientCounts, Unread
from proxy.http1.framing import Body
from proxy.http1.head import RequestHead, ResponseHead
from proxy.policy.counted_client import CountedClient, client_key, counted_client
from proxy.policy.delivery import accepts_only_streams, is_stream_type
from proxy.policy.request_value import IsTrusted, RequestValue
from proxy.policy.upgrade import is_upgrade
from proxy.quantities import counted
from proxy.timeline import Clock
from proxy.transport.client_stream import ClientStream

# Seconds; at random, so that clients that are refused together come back one by one.
RETRY_AFTER = (5, 15)

log = logging.getLogger("unbuffered")


class ClientPlace:
    """One of the streams that a client may have."""

    __slots__ = ("counts", "key")

    def __init__(self, counts: ClientCounts, key: bytes) -> None:
        self.counts = counts
        self.key = key

    def leave(self) -> None:
        """It has ended, or its client does not read it any more."""
        self.counts.remove(self.key)


class Counted(Protocol):
    """The exchange."""

    client: ClientStream
    head: RequestHead
    place: ClientPlace | None

    @property
    def has_client(self) -> bool:
        """Is the response that of one client?"""

    @property
    def owns_client(self) -> bool:
        """Is that client on a connection of this worker, which then counts it?"""

    def leave_place(self) -> None:
        """It is none of the client's streams any more."""


class StreamLimit:
    """Of one route."""

    __slots__ = (
        "by",
        "clock",
        "counts",
        "forwarded",
        "is_trusted",
        "most",
        "prefix",
        "source",
        "tunnels",
    )

    def __init__(
        self, route: Route, counts: ClientCounts, is_trusted: IsTrusted, clock: Clock
    ) -> None:
        self.most = route.max_streams_per_client
        self.source = route.client_by
        self.by = RequestValue(route.client_by)
        self.prefix = route.prefix
        self.counts = counts
        self.is_trusted = is_trusted
        self.forwarded = route.trust_forwarded
        self.tunnels = route.ws
        self.clock = clock

    # -- whose a request is

    def client_of(self, head: RequestHead, address: bytes) -> CountedClient:
        """By what a request is counted."""
        trusted = self.forwarded or self.is_trusted(address)
        return counted_client(
            self.by, head, address, trusted=trusted, is_trusted=self.is_trusted
        )

    def key_of(self, head: RequestHead, address: bytes) -> bytes:
        """What stands for the client of a request."""
        client = self.client_of(head, address)
        return client_key(client, self.prefix, self.counts.secret)

    # -- when it counts

    def begin(self, exchange: Counted) -> None:
        """The head of a request is here.

        Raises:
            TooManyStreams: it asks for one too many.
        """
        if self.is_known(exchange.head):
            self.take(exchange)

    def is_known(self, head: RequestHead) -> bool:
        """Does a request's head say that the response will be a stream?"""
        if head.method == b"HEAD":
            return False
        return (self.tunnels and is_upgrade(head)) or accepts_only_streams(head)

    def judge(self, exchange: Counted, head: ResponseHead, body: Body) -> None:
        """The head of the response is here.

        Raises:
            TooManyStreams: it is one too many.
        """
        if not is_stream_type(head) or body.complete:
            exchange.leave_place()
            return
        self.take(exchange)
        counts = self.counts
        if counts.unread and exchange.has_client:
            key = self.key_of(exchange.head, exchange.client.address)
            counts.make_room(key, counts.total(key), self.most)

    def take(self, exchange: Counted) -> None:
        """Count a stream, unless it is counted.

        Raises:
            TooManyStreams: it is one too many.
        """
        if exchange.place is not None or not exchange.owns_client:
            return
        counts, key = self.counts, self.key_of(exchange.head, exchange.client.address)
        # Added before it is compared: two workers cannot both find the last room.
        if counts.add(key) > self.most:
            counts.remove(key)
            raise self.refusal()
        exchange.place = ClientPlace(counts, key)

    def refusal(self) -> TooManyStreams:
        """What the client is told, and once in a while the log."""
        untold = self.counts.refused(self.prefix, self.clock)
        if untold is not None:
            log.warning(
                "route %s: a request was refused with 429, since its client already "
                'has %s (max_streams_per_client, client_by = "%s")%s',
                self.prefix,
                counted(self.most, "stream"),
                self.source,
                f"; so were {untold} since the last such line" if untold else "",
            )
        error = TooManyStreams(
            f"this client already has {counted(self.most, 'stream')} of this route, "
            "and may have no more (max_streams_per_client)"
        )
        error.fields = [(b"Retry-After", b"%d" % randint(*RETRY_AFTER))]
        return error

    # -- kept streams that nobody reads

    def left(self, key: bytes, stream: Unread) -> None:
        """The last client of a stream has left, and it is read on."""
        self.counts.left(key, stream, self.most)

    def taken_up(self, key: bytes, stream: Unread) -> None:
        """It has a client again, or is read on no more."""
        self.counts.taken_up(key, stream)
