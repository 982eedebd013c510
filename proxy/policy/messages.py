"""The messages that the proxy writes: heads, from what it received and decided.

Framing is always our own (RFC 9112 §6): exactly one of Content-Length and
chunked, computed from what will be sent, never copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from proxy.config.route import Route
from proxy.config.target import Target
from proxy.errors import MalformedRequest
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields, shown
from proxy.http1.head import Head, RequestHead, ResponseHead
from proxy.policy.delivery import Delivery, adjust_fields
from proxy.policy.forwarded import public_address
from proxy.policy.header_fields import (
    ALLOW,
    Rules,
    head_bytes,
    remove_member,
    request_fields,
    strip_hop_by_hop,
    via,
)
from proxy.policy.path_rewrite import Rules as PathRules
from proxy.policy.path_rewrite import upstream_path
from proxy.policy.webdav_destination import Destined, moves, upstream_destination

# RFC 9110 §9.2.2
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
TAKES_TRAILERS = [(b"TE", b"trailers"), (b"Connection", b"TE")]
# The methods whose hops are counted (RFC 9110 §7.6.2).
COUNTED = frozenset({b"OPTIONS", b"TRACE"})
HOPS = re.compile(rb"\d++")
MOST_HOPS = 1000  # what is allowed beyond that is sent on as this
# HTTP/2 by upgrade is another protocol over a connection that this proxy
# would no longer understand: the way of "h2c smuggling". RFC 9113 dropped it.
NEVER_TUNNELLED = frozenset({b"h2c", b"http/2.0"})


class CompiledRoutes(Protocol):
    """What a route has ready."""

    route: Route
    path_rules: PathRules
    request_rules: Rules
    response_rules: Rules

    def find(self, path: bytes, /) -> Destined:
        """The route of another path."""


class Client(Protocol):
    """What is known of the client."""

    address: bytes
    scheme: bytes


def wants_keep_alive(head: Head) -> bool:
    """May the connection serve another exchange (RFC 9112 §9.3)?"""
    if b"connection" not in head.index:
        return head.minor >= 1
    options = head.members(b"connection")
    if b"close" in options:
        return False
    return head.minor >= 1 or b"keep-alive" in options


def stays_in_step(head: ResponseHead) -> bool:
    """May the upstream's connection serve again once this response is read?

    A 204 that announces a body may be followed by one.
    """
    if head.status == 204 and (
        b"transfer-encoding" in head.index
        or head.get(b"content-length") not in (None, b"0")
    ):
        return False
    return wants_keep_alive(head)


def takes_trailers(head: RequestHead) -> bool:
    """Does the client want trailers (RFC 9110 §10.1.4)?"""
    return (
        b"te" in head.index and head.minor >= 1 and b"trailers" in head.members(b"te")
    )


def hops_left(head: RequestHead) -> int | None:
    """How many more hops a request may take; None: nobody counts them.

    Raises:
        MalformedRequest: not one number.
    """
    if b"max-forwards" not in head.index or head.method not in COUNTED:
        return None
    value = head.index[b"max-forwards"]
    if HOPS.fullmatch(value) is None:
        raise MalformedRequest(f"invalid Max-Forwards {shown(value)}")
    digits = value.lstrip(b"0") or b"0"
    return MOST_HOPS if len(digits) > 3 else int(digits)


def is_upgrade(head: RequestHead) -> bool:
    """Does the client ask for another protocol (RFC 9110 §7.8)?"""
    return (
        b"upgrade" in head.index
        and head.minor >= 1
        and b"upgrade" in head.members(b"connection")
        and bool(set(head.members(b"upgrade")) - NEVER_TUNNELLED)
    )


def is_agreed(request: RequestHead, response: ResponseHead) -> bool:
    """Did the upstream switch to a protocol that the client offered?"""
    chosen = response.members(b"upgrade")
    offered = set(request.members(b"upgrade")) - NEVER_TUNNELLED
    return bool(chosen) and set(chosen) <= offered


def upstream_request(
    head: RequestHead,
    compiled: CompiledRoutes,
    target: Target,
    path: bytes,
    host: bytes | None,
    body: Body,
    client: Client,
    *,
    upgrade: bool,
    trusted: bool = False,
) -> bytes:
    """The head of the request to the upstream.

    `host` is what the client asked for; `trusted`: it is a proxy in front of us.
    """
    written = head.written
    counted = b"max-forwards" in head.index and head.method in COUNTED
    key = (compiled, target, host, upgrade, trusted, counted)
    # Heads with the same fields share what was written, whatever their methods.
    if written.key != key or b"destination" in head.index:
        written.lines = head_bytes(
            b"",
            upstream_fields(
                head, compiled, target, host, body, client, upgrade, trusted
            ),
        )
        written.key = key
    path = upstream_path(target.path, compiled.path_rules, path)
    return b"%b %b HTTP/1.1%b" % (head.method, path, written.lines)


def upstream_fields(
    head: RequestHead,
    compiled: CompiledRoutes,
    target: Target,
    host: bytes | None,
    body: Body,
    client: Client,
    upgrade: bool,
    trusted: bool,
) -> Fields:
    """The fields of the request to the upstream, framing included."""
    trust = trusted or compiled.route.trust_forwarded
    destination = None
    if moves(head):
        public = public_address(head, client.scheme, trust)
        destination = upstream_destination(
            head, public.authority, compiled.route, target, compiled.find
        )
    fields = request_fields(
        head,
        host=target.authority if compiled.route.change_origin or not host else host,
        authority=host or b"",
        client=client.address,
        scheme=client.scheme,
        trust_forwarded=trust,
        rules=compiled.request_rules,
        origin=target.origin if compiled.route.rewrite_origin else None,
        accept_encoding=compiled.route.accept_encoding,
        destination=destination,
    )
    hops = hops_left(head)
    if hops:
        fields = [
            (name, b"%d" % (hops - 1) if name.lower() == b"max-forwards" else value)
            for name, value in fields
        ]
    if not isinstance(body, LengthBody):
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif b"content-length" in head.index:
        fields.append((b"Content-Length", b"%d" % body.remaining))
    if upgrade:
        fields += upgrade_fields(head)
    elif takes_trailers(head):
        fields += TAKES_TRAILERS
    return fields


def upgrade_fields(head: Head) -> Fields:
    """Connection and Upgrade for the next hop."""
    fields = [field for field in head.fields if field[0].lower() == b"upgrade"]
    for protocol in NEVER_TUNNELLED:
        fields = remove_member(fields, b"Upgrade", protocol)
    return [(b"Connection", b"Upgrade"), *fields]


def client_response(
    head: ResponseHead,
    body: Body,
    delivery: Delivery,
    compiled: CompiledRoutes,
    client_minor: int,
    *,
    chunked: bool,
    keep_alive: bool,
    date: Callable[[], bytes],
) -> bytes:
    """The head of the response to the client.

    `client_minor` is the client's HTTP/1.x; `date` is asked only when the
    upstream sent no Date (RFC 9110 §6.6.1).
    """
    dated = None if b"date" in head.index else date()
    minor = client_minor
    written = head.written
    terms = (delivery, compiled, minor, chunked, keep_alive, dated)
    key = (body.complete, *terms)  # with the head, it tells all of the body
    if written.key != key:
        fields = response_fields(head, body, *terms)
        written.lines = head_bytes(status_line(head), fields)
        written.key = key
    return written.lines


def response_fields(
    head: ResponseHead,
    body: Body,
    delivery: Delivery,
    compiled: CompiledRoutes,
    client_minor: int,
    chunked: bool,
    keep_alive: bool,
    date: bytes | None,
) -> Fields:
    """The fields of the response to the client, framing included."""
    fields = adjust_fields(strip_hop_by_hop(head), delivery)
    fields.append(via(head))
    if date is not None:
        fields.append((b"Date", date))
    fields = compiled.response_rules.apply(fields)
    if chunked:
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif isinstance(body, LengthBody) and not delivery.codings:
        fields += length_field(head, body)
    if not keep_alive:
        fields.append((b"Connection", b"close"))
    elif client_minor == 0:
        fields.append((b"Connection", b"keep-alive"))
    return fields


def length_field(head: ResponseHead, body: LengthBody) -> Fields:
    """Content-Length: of the body, or of what GET would have had (HEAD, 304)."""
    value = head.get(b"content-length")
    if value is None or head.status == 204:
        return []
    if body.complete:
        return [(b"Content-Length", value.partition(b",")[0].strip(b" \t"))]
    return [(b"Content-Length", b"%d" % body.remaining)]


def options_response(head: RequestHead, keep_alive: bool, date: bytes) -> bytes:
    """Our own answer to OPTIONS, whose last hop is this proxy (RFC 9110 §9.3.7)."""
    fields: Fields = [(b"Allow", ALLOW), (b"Content-Length", b"0"), (b"Date", date)]
    if not keep_alive:
        fields.append((b"Connection", b"close"))
    elif head.minor == 0:
        fields.append((b"Connection", b"keep-alive"))
    return head_bytes(b"HTTP/1.1 200 OK", fields)


def informational(head: ResponseHead) -> bytes:
    """A 1xx response as it goes on to the client."""
    return head_bytes(status_line(head), strip_hop_by_hop(head))


def switching(head: ResponseHead, compiled: CompiledRoutes) -> bytes:
    """The 101 response as it goes on to the client."""
    fields = strip_hop_by_hop(head)
    fields.append(via(head))
    fields = compiled.response_rules.apply(fields)
    return head_bytes(status_line(head), fields + upgrade_fields(head))


def status_line(head: ResponseHead) -> bytes:
    """The upstream's status and reason in our version (RFC 9112 §4)."""
    return b"HTTP/1.1 %d %b" % (head.status, head.reason)
