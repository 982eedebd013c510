"""What an upstream says of its own address, in terms of the public one.

Redirects and cookies name the upstream's host and paths. Behind a prefix they
have to name ours, or the browser leaves the proxy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.config.route import Route
from proxy.config.target import Target
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.policy.set_cookie import CookieRules

# scheme://authority of an absolute URL, or //authority (RFC 3986 §4.2).
ORIGIN = re.compile(rb"(?:(https?):)?//([^/?#]*)", re.IGNORECASE)
PORT = re.compile(rb":(\d*)\Z")
DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}
LOCATION = (b"location", b"content-location")
# `^/prefix` with no special character: a rule that can be read backwards.
LITERAL_RULE = re.compile(
    r"\^(?P<public>(?:/(?:[A-Za-z0-9_~%@:!,=-]|\\[^A-Za-z0-9])+)+)(?P<slash>/?)"
)
LITERAL_PATH = re.compile(r"(?:/[A-Za-z0-9._~%@:!,=-]*)*")


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the public path relates to the upstream's: `public` ↔ `upstream`."""

    public: bytes
    upstream: bytes


@dataclass(frozen=True, slots=True)
class Public:
    """The address that the client asked: `authority` is None if it named none."""

    scheme: bytes
    authority: bytes | None

    @property
    def origin(self) -> bytes:
        """What stands before a path; nothing if there was no Host."""
        return b"" if self.authority is None else self.scheme + b"://" + self.authority

    def is_named(self, scheme: bytes, authority: bytes) -> bool:
        """Is that its name? All in lower case."""
        named = self.authority is not None and authority == self.authority.lower()
        return named and scheme == self.scheme


class ResponseRewrite:
    """Which fields of a route's responses are rewritten, ready to apply."""

    __slots__ = ("cookies", "known_as_client", "mapped", "redirects")

    def __init__(self, route: Route) -> None:
        self.redirects = route.rewrites_redirects
        self.known_as_client = not route.change_origin
        self.mapped = {target: reversible(route, target) for target in route.targets}
        self.cookies = CookieRules(route)

    @property
    def idle(self) -> bool:
        """Is there nothing to rewrite in any response?"""
        return not (self.redirects or self.cookies.active)

    def concerns(self, head: ResponseHead) -> bool:
        """Does a response hold a field that may have to be rewritten?"""
        index = head.index
        return (
            self.redirects and (b"location" in index or b"content-location" in index)
        ) or (self.cookies.active and b"set-cookie" in index)

    def publish(
        self, head: ResponseHead, public: Public, target: Target
    ) -> ResponseHead:
        """A response of `target` as the client has to see it.

        Order and case of its fields, and all others, stay as they came.
        """
        fields: Fields = []
        for name, value in head.fields:
            key = name.lower()
            if self.redirects and key in LOCATION:
                value = self.location(value, public, target)
            elif key == b"set-cookie" and self.cookies.active:
                value = self.cookies.rewrite(value)
            fields.append((name, value))
        return ResponseHead(head.status, head.reason, head.minor, fields)

    def location(self, value: bytes, public: Public, target: Target) -> bytes:
        """A Location or Content-Location with the public origin and prefix.

        An address that is no target's is left alone. So is a relative one
        without a leading slash: it resolves against the public address.
        """
        found = ORIGIN.match(value)
        if found is None:
            return public_path(value, self.mapped[target])
        scheme = (found[1] or target.scheme.encode()).lower()
        place = self.place(scheme, found[2].lower(), public, target)
        if place is None:
            return value
        rest = value[found.end() :]
        path = rest if rest[:1] == b"/" else b"/" + rest
        return public.origin + public_path(path, self.mapped[place])

    def place(
        self, scheme: bytes, authority: bytes, public: Public, target: Target
    ) -> Target | None:
        """The target of the route that an authority names, if it names one."""
        for each in (target, *self.mapped):
            if is_target(scheme, authority, each, public):
                return each
        # Without change_origin the upstream knows itself by the public name.
        if self.known_as_client and public.is_named(scheme, authority):
            return target
        return None


def is_target(scheme: bytes, authority: bytes, target: Target, public: Public) -> bool:
    """Does an authority name the target? All in lower case."""
    host, port = split_port(authority)
    own_host, own_port = split_port(target.authority.lower())
    own_scheme = target.scheme.encode()
    if host != own_host:
        return False
    if (port or DEFAULT_PORTS[scheme]) == (own_port or DEFAULT_PORTS[own_scheme]):
        return True
    # An upstream that was told of https in X-Forwarded-Proto says https of
    # itself. To anybody else it says: come again by TLS, to itself.
    return not port and not own_port and scheme == public.scheme


def split_port(authority: bytes) -> tuple[bytes, bytes]:
    """Host and port; the port is empty where it goes without saying."""
    found = PORT.search(authority)
    return (authority, b"") if found is None else (authority[: found.start()], found[1])


def public_path(path: bytes, mapped: Mapped | None) -> bytes:
    """An upstream's absolute path with the public prefix put back."""
    if mapped is None or path[:1] != b"/" or not path.startswith(mapped.upstream):
        return path
    rest = path[len(mapped.upstream) :]
    if rest[:1] not in (b"", b"/", b"?", b"#"):
        return path  # /v10 is not below /v1
    return mapped.public + rest or b"/"


def reversible(route: Route, target: Target) -> Mapped | None:
    """The one prefix that path_rewrite replaces, if its rules are that simple.

    No rules: the paths are the same below the target's own. A rule such as
    `^/api` = `/v1` is read backwards if it applies to every path of the route;
    anything cleverer is not.
    """
    base, rules = target.path, route.path_rewrite
    if not rules:
        return Mapped(b"", base)
    if len(rules) > 1:
        return None
    ((pattern, replacement),) = rules.items()
    literal = LITERAL_RULE.fullmatch(pattern)
    if literal is None or LITERAL_PATH.fullmatch(replacement) is None:
        return None
    public = re.sub(r"\\(.)", r"\1", literal["public"])
    if not (route.path + "/").startswith(public + "/"):
        return None  # paths outside of it go unchanged
    upstream = replacement.rstrip("/")
    if upstream and literal["slash"] and not replacement.endswith("/"):
        return None  # /api/x becomes /v1x
    return Mapped(public.encode("ascii"), base + upstream.encode("ascii"))
