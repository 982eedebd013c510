"""What no upstream and no log gets of a request that goes to a route. Pure.

A browser sends the cookie of the inspector with every request below /_unbuffered/, also
with those that a route takes, and that of every port of the host: a page of an upstream
could have it sent there. An address with a token may be that of another Unbuffered,
which is an upstream here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from proxy.config.model import Config
from proxy.exchange.exchange import Exchange, ExchangeOwner
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.inspector.access import Access, is_one_of
from proxy.inspector.access_token import COOKIE, PORT
from proxy.observe.redaction import masked_target
from proxy.timeline import wall_clock
from proxy.transport.client_stream import ClientStream

NAME = b"_unbuffered"
NEAR = b"unbuffered"  # also in %5funbuffered
# A cookie of ours, or what an upstream may take for one.
SESSION = re.compile(rb"[\s,]*unbuffered-session(?:-(\d+))?\s*=\s*(\S*)\s*\Z")
AUTHORITY = re.compile(rb"[a-z]+://[^/?]*", re.IGNORECASE)  # RFC 9112 §3.2.2
TOKEN = b"token="


def is_session(pair: bytes) -> bool:
    """Is a cookie one that may open an inspector?"""
    return SESSION.match(pair) is not None


class Withheld:
    """What one configuration withholds."""

    __slots__ = ("access", "guards", "ports", "watched")

    def __init__(self, config: Config, access: Access) -> None:
        self.access = access
        inspector = config.inspector.enabled is not False
        metrics = config.metrics.enabled is not False
        self.guards = bool(config.inspector.token) and (inspector or metrics)
        self.guards = self.guards or (bool(config.metrics.token) and metrics)
        # Without a token of its own only what an address tells is looked at.
        self.watched = b"" if self.guards else NEAR
        # By which an Unbuffered behind this one may call its cookie.
        self.ports = frozenset(
            port_of(target.authority)
            for route in config.routes.values()
            for target in route.targets
        ) | frozenset(
            port_of(value.encode("utf-8"))
            for route in config.routes.values()
            for name, value in route.headers.request.set.items()
            if name.lower() == "host"
        )

    def exchange(
        self, owner: ExchangeOwner, client: ClientStream, head: RequestHead
    ) -> Exchange:
        """The exchange of a request for a route, and what its log may show."""
        exchange = Exchange(owner, client, self.from_request(head))
        exchange.timeline.target = self.shown(head.target)
        return exchange

    def from_request(self, head: RequestHead) -> RequestHead:
        """A request as it may go on; the same object, if nothing is withheld."""
        segments = segments_of(head.target)
        at_home = segments[:1] == [NAME]
        if self.guards or at_home:
            head = without_sessions(
                head, lambda pair: self.withholds(pair, head, segments)
            )
        return without_tokens(head) if self.guards and at_home else head

    def withholds(self, pair: bytes, head: RequestHead, segments: list[bytes]) -> bool:
        """Is a cookie one that must not go on?"""
        found = SESSION.match(pair)
        if found is None:
            return False
        if not self.guards:  # that of an Unbuffered behind this one goes there
            port = found[1] or b""
            return port != port_of(head.get(b"host") or b"") and port not in self.ports
        if segments[:1] == [NAME] or NAME not in segments:
            return True
        token = self.access.inspector  # another Unbuffered is asked, below a prefix
        return token is not None and token.opens(found[2], wall_clock())

    def shown(self, target: bytes) -> bytes:
        """The target as a log may show it."""
        if b"=" not in target:
            return target
        if NAME in segments_of(target) or (TOKEN in target and self.has_token(target)):
            return masked_target(target.decode("latin-1")).encode("latin-1")
        return target

    def has_token(self, target: bytes) -> bool:
        """Is there a token of ours in its query, wherever it leads?"""
        access = self.access
        tokens = [each for each in (access.inspector, access.metrics) if each]
        return any(
            is_one_of(tokens, unquote_to_bytes(parameter.partition(b"=")[2]))
            for parameter in target.partition(b"?")[2].split(b"&")
        )


def without_sessions(
    head: RequestHead, withholds: Callable[[bytes], bool] = is_session
) -> RequestHead:
    """A request without the cookies that open an inspector, or those among them."""
    if COOKIE not in head.index.get(b"cookie", b""):
        return head
    fields: Fields = []
    for name, value in head.fields:
        if name.lower() != b"cookie":
            fields.append((name, value))
            continue
        left = [pair for pair in value.split(b";") if not withholds(pair)]
        if left:
            fields.append((name, b";".join(left).strip()))
    return RequestHead(head.method, head.target, head.minor, fields)


def without_tokens(head: RequestHead) -> RequestHead:
    """A request without a token in its address or its fields."""
    fields = [field for field in head.fields if not is_bearer(field)]
    path, mark, query = head.target.partition(b"?")
    left = [each for each in query.split(b"&") if not is_token(each)]
    target = path + mark + b"&".join(left) if left else path
    if target == head.target and len(fields) == len(head.fields):
        return head
    return RequestHead(head.method, target, head.minor, fields)


def segments_of(target: bytes) -> list[bytes]:
    """The segments of its path as the most tolerant server reads them."""
    authority = AUTHORITY.match(target)
    path = target if authority is None else target[authority.end() :]
    segments: list[bytes] = []
    for each in unquote_to_bytes(path.partition(b"?")[0]).split(b"/"):
        segment = each.partition(b";")[0]
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    return segments


def port_of(authority: bytes) -> bytes:
    """The port in it, by which a cookie is called; empty, if there is none."""
    found = PORT.search(authority)
    return found[1] if found else b""


def is_bearer(field: tuple[bytes, bytes]) -> bool:
    """May a field show a token?"""
    name, value = field
    return name.lower() == b"authorization" and value[:6].lower() == b"bearer"


def is_token(parameter: bytes) -> bool:
    """Is a parameter of a query one that may be a token?"""
    return unquote_to_bytes(parameter)[: len(TOKEN)] == TOKEN
