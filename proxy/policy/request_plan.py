"""The request to an upstream, decided once: its target, its fields, its framing.

Framing is always our own (RFC 9112 §6): exactly one of Content-Length and
chunked, computed from what will be sent, never copied. Pure.
"""

from __future__ import annotations

import re
from typing import Protocol

from proxy.config.route import Route
from proxy.config.target import Target
from proxy.errors import MalformedRequest
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields, parse_fields, shown
from proxy.http1.head import REMEMBERED_BYTES, RequestHead
from proxy.http1.head_text import CHUNKED, head_bytes
from proxy.policy.forwarded import public_address
from proxy.policy.header_fields import Rules, request_fields
from proxy.policy.path_rewrite import Rules as PathRules
from proxy.policy.path_rewrite import upstream_path
from proxy.policy.request_id import NAME
from proxy.policy.routing import Destination
from proxy.policy.upgrade import upgrade_fields
from proxy.policy.webdav_destination import Destined, moves, upstream_destination

# RFC 9110 §9.2.2
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
TAKES_TRAILERS: Fields = [(b"TE", b"trailers"), (b"Connection", b"TE")]
# The methods whose hops are counted (RFC 9110 §7.6.2).
COUNTED = frozenset({b"OPTIONS", b"TRACE"})
HOPS = re.compile(rb"\d++")
MOST_HOPS = 1000  # what is allowed beyond that is sent on as this


class RouteRules(Protocol):
    """What a route has compiled for its messages."""

    route: Route
    path_rules: PathRules
    verbatim: bool  # is nothing of ours added: another worker has done so?
    request_rules: Rules
    response_rules: Rules

    def find(self, where: Destination, /) -> Destined:
        """The route of another path."""


class RequestPlan:
    """One request to an upstream, as it is sent.

    `section` has its fields, those of its framing included, as HTTP/1.1 text from
    the end of the request line to that of the last field. `request_id`: of this
    request alone, beside the fields that it has in common with others.
    """

    __slots__ = ("method", "path", "request_id", "section")

    def __init__(
        self, method: bytes, path: bytes, section: bytes, request_id: bytes = b""
    ) -> None:
        self.method = method
        self.path = path
        self.section = section
        self.request_id = request_id

    @property
    def line(self) -> bytes:
        """The request line (RFC 9112 §3)."""
        return b"%b %b HTTP/1.1" % (self.method, self.path)

    @property
    def text(self) -> bytes:
        """The head as HTTP/1.1 text."""
        if self.request_id:
            return b"%b %b HTTP/1.1%bX-Request-Id: %b\r\n\r\n" % (
                self.method,
                self.path,
                self.section,
                self.request_id,
            )
        return b"%b %b HTTP/1.1%b\r\n" % (self.method, self.path, self.section)

    @property
    def fields(self) -> Fields:
        """The fields, read from `section`: a stream need not keep them twice."""
        fields = parse_fields(self.section[2:])
        return [*fields, (NAME, self.request_id)] if self.request_id else fields


class RequestPlanner:
    """Makes the plans of one client's requests.

    `address` is that of the peer, `scheme` the one that it uses. Remembers the last
    fields: a client sends the same with one request after the other, and most of the
    work is theirs.
    """

    __slots__ = (
        "address",
        "asked",
        "authority",
        "known_fields",
        "path",
        "repeated",
        "route",
        "scheme",
        "section",
        "sends_id",
        "sized",
        "target",
        "trusted",
        "upgrade",
        "way",
    )

    def __init__(self, address: bytes, scheme: bytes) -> None:
        self.address = address
        self.scheme = scheme
        self.known_fields: Fields | None = None  # the fields of the client, by identity
        self.route: RouteRules | None = None
        self.target: Target | None = None
        self.authority: bytes | None = None
        self.trusted = self.upgrade = False
        self.sends_id = True  # beside the section
        self.sized = True  # by Content-Length, or without a body; else chunked
        self.section = b""
        self.asked: bytes | None = None  # the path of the last plan, by identity
        self.path = b""  # that became of it
        # The head that came again, as the same object, and the way that it took, which
        # is its owner's affair.
        self.repeated: RequestHead | None = None
        self.way: object = None

    def plan(
        self,
        head: RequestHead,
        body: Body,
        route: RouteRules,
        target: Target,
        path: bytes,
        authority: bytes | None,
        *,
        trusted: bool,
        upgrade: bool,
        request_id: bytes = b"",
    ) -> RequestPlan:
        """The request to `target`, for `path`.

        `authority` is what was asked for; `trusted`: what the client says of the hops
        before it counts; `upgrade`: it may switch to another protocol. `request_id`:
        if requests of this route have one, all of them do; else the client's passes.
        """
        section = self.section
        sized = isinstance(body, LengthBody)
        if (
            head.fields is not self.known_fields
            or sized is not self.sized  # of which fields of HTTP/2 need not tell
            or route is not self.route
            or target is not self.target
            or trusted is not self.trusted
            or upgrade is not self.upgrade
            or authority != self.authority
        ):
            section = head_bytes(
                b"",
                upstream_fields(
                    head,
                    body,
                    route,
                    target,
                    authority,
                    address=self.address,
                    scheme=self.scheme,
                    trusted=trusted,
                    upgrade=upgrade,
                    own_id=request_id != b"",
                ),
            )[:-2]
            self.asked = None
            self.sends_id = not route.request_rules.says_id
            # Destination is judged by its route, Max-Forwards by the method.
            special = b"destination" in head.index or b"max-forwards" in head.index
            if special or len(section) > REMEMBERED_BYTES:
                self.known_fields, self.section = None, b""
            else:
                self.known_fields, self.route, self.target = head.fields, route, target
                self.trusted, self.upgrade, self.sized = trusted, upgrade, sized
                self.authority, self.section = authority, section
        if path is self.asked:
            path = self.path
        else:
            asked, path = path, upstream_path(target.path, route.path_rules, path)
            if head is self.repeated:
                self.asked, self.path = asked, path
        if not self.sends_id:
            request_id = b""
        return RequestPlan(head.method, path, section, request_id)


def takes_trailers(head: RequestHead) -> bool:
    """Does the client want trailers (RFC 9110 §10.1.4)?"""
    return (
        b"te" in head.index
        and head.version != "1.0"
        and b"trailers" in head.members(b"te")
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


def upstream_fields(
    head: RequestHead,
    body: Body,
    route: RouteRules,
    target: Target,
    authority: bytes | None,
    *,
    address: bytes,
    scheme: bytes,
    trusted: bool,
    upgrade: bool,
    own_id: bool,
) -> Fields:
    """The fields of the request to the upstream, framing included.

    `own_id`: it has one that is not among them.
    """
    options = route.route
    destination = None
    if moves(head):
        public = public_address(head, scheme, trusted)
        destination = upstream_destination(
            head, public.authority, options, target, route.find
        )
    asked = authority or b""
    fields = request_fields(
        head,
        host=target.authority if options.change_origin or not asked else asked,
        authority=asked,
        client=address,
        scheme=scheme,
        trust_forwarded=trusted,
        rules=route.request_rules,
        origin=target.origin if options.rewrite_origin else None,
        accept_encoding=options.accept_encoding,
        destination=destination,
        own_id=own_id,
    )
    hops = hops_left(head)
    if hops:
        fields = [
            (name, b"%d" % (hops - 1) if name.lower() == b"max-forwards" else value)
            for name, value in fields
        ]
    if not isinstance(body, LengthBody):
        fields.append(CHUNKED)
    elif b"content-length" in head.index:
        fields.append((b"Content-Length", b"%d" % body.remaining))
    if upgrade:
        fields += upgrade_fields(head)
    elif takes_trailers(head):
        fields += TAKES_TRAILERS
    return fields
