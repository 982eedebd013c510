"""The response to a client, decided once: status, fields, and how its body ends.

Framing is always our own (RFC 9112 §6): computed from what will be sent, never
copied. Who sends a plan writes it in the client's protocol; the inspector shows
the one that was sent. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields, parse_fields
from proxy.http1.head import REMEMBERED_BYTES, RequestHead, ResponseHead
from proxy.http1.head_text import CHUNKED, head_bytes
from proxy.policy.delivery import Delivery, adjust_fields, decide
from proxy.policy.header_fields import strip_hop_by_hop, via, without
from proxy.policy.request_plan import RouteRules
from proxy.policy.upgrade import is_extended_connect, upgrade_fields


class Framing(Enum):
    """How the client learns where the body ends."""

    LENGTH = 1  # by Content-Length, or there is no body
    STREAM = 2  # by its protocol: chunked in HTTP/1.1, END_STREAM in HTTP/2
    CLOSE = 3  # by the close of the connection: HTTP/1.0
    TUNNEL = 4  # there are only raw bytes from now on
    INTERIM = 5  # there is no body, and another response follows: 1xx


LENGTH, STREAM, CLOSE, TUNNEL, INTERIM = Framing


NOTHING: Fields = []
# Of the handshake of HTTP/1.1 alone: HTTP/2 has no key to accept (RFC 8441 §5).
HANDSHAKE = frozenset({b"sec-websocket-accept"})
ENDS: Fields = [(b"Connection", b"close")]
STAYS: Fields = [(b"Connection", b"keep-alive")]


class Terms(NamedTuple):
    """What the client's connection allows.

    `delimits`: its protocol can end a body of unknown length (not HTTP/1.0).
    `keep_alive`: it may serve another request.
    """

    delimits: bool
    keep_alive: bool

    @property
    def options(self) -> Fields:
        """What is said of the connection itself (RFC 9112 §9.3)."""
        if not self.keep_alive:
            return ENDS
        return NOTHING if self.delimits else STAYS


ONCE = Terms(delimits=True, keep_alive=False)
# By `delimits` and `keep_alive`: to compare their identity is enough.
TERMS = (
    (Terms(False, False), Terms(False, True)),
    (ONCE, Terms(True, True)),
)


class ResponsePlan:
    """One response, as it is sent.

    `fields` are those that every protocol has; `options` those that HTTP/1.1 adds
    for this one connection. Once it is written, its text is all that is kept of them.
    `block` is the same as HTTP/2 writes it; empty: not written yet. `length` is what
    its Content-Length says; None: not looked up yet.
    """

    __slots__ = (
        "block",
        "content",
        "framing",
        "keep_alive",
        "length",
        "options",
        "reason",
        "status",
    )

    def __init__(
        self,
        status: int,
        reason: bytes,
        fields: Fields,
        framing: Framing,
        options: Fields = NOTHING,
        *,
        keep_alive: bool = True,
    ) -> None:
        self.status = status
        self.reason = reason
        self.content: Fields | bytes = fields  # or the whole head
        self.framing = framing
        self.options = options
        self.keep_alive = keep_alive
        self.block = b""
        self.length: int | None = None

    @property
    def line(self) -> bytes:
        """The status line in our version (RFC 9112 §4)."""
        return b"HTTP/1.1 %d %b" % (self.status, self.reason)

    @property
    def fields(self) -> Fields:
        """The fields that every protocol has."""
        fields = self.all_fields
        own = len(self.options) + (self.framing is STREAM)
        return fields[: len(fields) - own]

    @property
    def all_fields(self) -> Fields:
        """All fields of the response as HTTP/1.1 has them."""
        content = self.content
        if isinstance(content, bytes):
            return parse_fields(content[len(self.line) + 2 : -2])
        if self.framing is STREAM:
            return [*content, CHUNKED, *self.options]
        return [*content, *self.options]

    @property
    def text(self) -> bytes:
        """The head as HTTP/1.1 text, written once."""
        content = self.content
        if not isinstance(content, bytes):
            self.content = content = head_bytes(self.line, self.all_fields)
        return content


class ResponsePlanner:
    """Makes the plans of one upstream connection's responses.

    Remembers the last one: most upstreams answer with the same head again. The same
    head, for the same route, has the same delivery; but for HEAD its body is another.
    """

    __slots__ = ("complete", "date", "delivery", "head", "plan", "route", "terms")

    def __init__(self) -> None:
        self.plan: ResponsePlan | None = None
        self.head: ResponseHead | None = None  # by identity
        self.route: RouteRules | None = None
        self.terms = ONCE
        self.delivery: Delivery | None = None
        self.complete = False  # with the head, all of the body
        self.date: bytes | None = None

    def follow(self, other: ResponsePlanner) -> None:
        """Remember what another one does."""
        self.plan, self.head, self.route = other.plan, other.head, other.route
        self.terms, self.date, self.delivery = other.terms, other.date, other.delivery
        self.complete = other.complete

    def decide(self, head: ResponseHead, body: Body, route: RouteRules) -> Delivery:
        """The delivery of a final response, whose body is framed as `body`."""
        delivery = self.delivery
        if (
            delivery is None
            or head is not self.head
            or route is not self.route
            or body.complete is not self.complete
        ):
            delivery = decide(head, body, route.route.decode)
        return delivery

    def final(
        self,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        route: RouteRules,
        terms: Terms,
        date: Callable[[], bytes],
    ) -> ResponsePlan:
        """The plan of a final response, by the delivery that `decide` has found.

        `date` is asked only when the upstream sent no Date (RFC 9110 §6.6.1).
        """
        dated = None if b"date" in head.index else date()
        plan = self.plan
        if (
            plan is None
            or delivery is not self.delivery  # so it is of this head, body and route
            or terms is not self.terms
            or dated != self.date
        ):
            plan = plan_response(head, body, delivery, route, terms, dated)
            if 0 < len(head.data) <= REMEMBERED_BYTES:
                self.plan, self.head, self.route = plan, head, route
                self.terms, self.date, self.delivery = terms, dated, delivery
                self.complete = body.complete
            else:
                self.plan = self.head = None
        return plan


def plan_response(
    head: ResponseHead,
    body: Body,
    delivery: Delivery,
    route: RouteRules,
    terms: Terms,
    date: bytes | None,
) -> ResponsePlan:
    """Decide a final response; `date` is added if it is not None."""
    fields = strip_hop_by_hop(head)
    if not route.verbatim:
        fields = adjust_fields(fields, delivery)
        fields.append(via(head))
    if date is not None:
        fields.append((b"Date", date))
    fields = route.response_rules.apply(fields)
    if isinstance(body, LengthBody) and not delivery.codings:
        fields += length_field(head, body)
        framing = LENGTH
    elif terms.delimits:
        framing = STREAM
    else:
        framing = CLOSE
        terms = TERMS[0][0]
    return ResponsePlan(
        head.status,
        head.reason,
        fields,
        framing,
        terms.options,
        keep_alive=terms.keep_alive,
    )


def length_field(head: ResponseHead, body: LengthBody) -> Fields:
    """Content-Length: of the body, or of what GET would have had (HEAD, 304)."""
    value = head.get(b"content-length")
    if value is None or head.status == 204:
        return []
    if body.complete:
        return [(b"Content-Length", value.partition(b",")[0].strip(b" \t"))]
    return [(b"Content-Length", b"%d" % body.remaining)]


def plan_interim(head: ResponseHead) -> ResponsePlan:
    """A 1xx response on its way to the client (RFC 9110 §15.2)."""
    return ResponsePlan(head.status, head.reason, strip_hop_by_hop(head), INTERIM)


def plan_switch(
    head: ResponseHead, route: RouteRules, request: RequestHead
) -> ResponsePlan:
    """101 on its way to the client; to an extended CONNECT, 200 (RFC 8441 §5)."""
    fields = route.response_rules.apply([*strip_hop_by_hop(head), via(head)])
    if is_extended_connect(request):
        fields = without(fields, HANDSHAKE)
        return ResponsePlan(200, b"OK", fields, TUNNEL)
    return ResponsePlan(
        head.status, head.reason, fields, TUNNEL, upgrade_fields(head), keep_alive=False
    )
