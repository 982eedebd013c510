"""Field policy: which fields cross the proxy, and in what form.

Pure functions over field lines. Nothing here awaits or knows about sockets.
Order matters and is always: drop what is hop-by-hop, drop what may be forged,
then add our own. So a client that names one of our fields in Connection
removes nothing that we add.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.route import AcceptEncoding, FieldRules
from proxy.http1.grammar import Fields, Remembered
from proxy.http1.head import VERSIONS, Head, RequestHead
from proxy.policy.forwarded import forwarded_fields
from proxy.policy.request_id import KEY

# RFC 9110 §7.6.1, with the fields that older software sends. Trailer is not one of
# them: where trailers are dropped it still says what was lost (RFC 9110 §6.6.2).
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"http2-settings",
    }
)
# A Connection field may not name these: they are not the previous hop's to
# remove (RFC 9110 §7.6.1: "MUST NOT send … intended for all recipients").
NEVER_NAMED = frozenset({b"host", b"content-length", b"via", b"close", b"keep-alive"})
# RFC 9110 §6.5.1: what frames, routes, authenticates, controls or describes a
# message is of no use at its end, and dangerous to who merges it into the head.
NEVER_TRAILERS = HOP_BY_HOP | {
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expires",
    b"forwarded",
    b"host",
    b"location",
    b"max-forwards",
    b"proxy",
    b"retry-after",
    b"set-cookie",
    b"trailer",
    b"vary",
    b"via",
    b"www-authenticate",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
}
# What a client may ask of any resource; TRACE is for the hops behind this one.
ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PSEUDONYM = b"unbuffered"
VIA = {
    version: (b"Via", b"%b %b" % (version.encode(), PSEUDONYM)) for version in VERSIONS
}


def connection_names(head: Head) -> set[bytes]:
    """The fields that Connection declares to be for this hop only."""
    if head.index.get(b"connection") in (None, b"keep-alive", b"close"):
        return set()
    return set(head.members(b"connection")) - NEVER_NAMED


# A length that is meant for us as well: the next hop's framing is our own.
GOES_ON = Remembered(lambda name: name.lower() not in HOP_BY_HOP | {b"content-length"})


def strip_hop_by_hop(head: Head) -> Fields:
    """The fields that are meant for the next hop too, in order; no framing."""
    fields = [field for field in head.fields if GOES_ON[field[0]]]
    named = connection_names(head)
    if named:
        fields = [field for field in fields if field[0].lower() not in named]
    return fields


class Rules:
    """`set` and `remove` of one direction of a route, ready to apply.

    `alike`: the twins of these fields go too (see ALIKE). `says_id`: what the id of
    a request is, or that it has none, is said here.
    """

    __slots__ = ("added", "alike", "dropped", "says_id")

    def __init__(self, rules: FieldRules, *, alike: bool = False) -> None:
        self.alike = alike
        self.added: Fields = [
            (name.encode("ascii"), value.encode("utf-8"))
            for name, value in rules.set.items()
        ]
        self.dropped = frozenset(
            name.lower().encode("ascii") for name in (*rules.remove, *rules.set)
        )
        if alike:
            self.dropped |= {name.translate(ALIKE) for name in self.dropped}
        self.says_id = KEY in self.dropped

    def apply(self, fields: Fields) -> Fields:
        """Remove what is listed, then add what is set."""
        if self.dropped and self.alike:
            fields = [f for f in fields if f[0].translate(ALIKE) not in self.dropped]
        elif self.dropped:
            fields = without(fields, self.dropped)
        return [*fields, *self.added] if self.added else fields

    def trailers(self, fields: Fields) -> Fields:
        """The trailers that may go on: none that means more than itself."""
        return without(fields, NEVER_TRAILERS | self.dropped)


def without(fields: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Fields:
    """The fields whose lower-case name is not in `names`."""
    return [field for field in fields if field[0].lower() not in names]


def via(head: Head) -> tuple[bytes, bytes]:
    """Our entry in Via: the version the message came in (RFC 9110 §7.6.3)."""
    return VIA[head.version]


# Replaced on every upstream request: Host and the length by our own framing,
# Accept-Encoding because a stream that is never compressed is never held (a route may
# say otherwise).
REPLACED = frozenset({b"host", b"content-length", b"accept-encoding"})
IDENTITY = (b"Accept-Encoding", b"identity")
# Sent by us or not at all, so of the client's none passes. Nor does Proxy: no
# standard has it, and CGI makes HTTP_PROXY of it, by which many programs find the
# proxy for what they ask themselves (httpoxy, CVE-2016-5385).
NEVER_PASSED = HOP_BY_HOP | REPLACED | {b"forwarded", b"proxy"}
# Maps a name to what it may be taken for. CGI and its heirs (WSGI, PHP) make
# one variable of X-Forwarded-For and X_Forwarded_For (RFC 3875 §4.1.18), some
# of X.Forwarded.For as well: a twin of a field of ours would stand beside it.
ALIKE = bytes(
    ord(letter.lower()) if letter.isalnum() and letter.isascii() else ord("-")
    for letter in map(chr, range(256))
)


def is_passed(name: bytes) -> bool:
    """May a field of the client's with this name go on to the upstream?"""
    key = name.translate(ALIKE)
    return key not in NEVER_PASSED and not key.startswith(b"x-forwarded-")


PASSED = Remembered(is_passed)
NAMES_REQUEST = Remembered(lambda name: name.translate(ALIKE) == KEY)
# For accept_encoding = "client": a signature of the client's may cover it.
PASSED_SIGNED = Remembered(
    lambda name: name.lower() == b"accept-encoding" or is_passed(name)
)


def request_fields(
    head: RequestHead,
    *,
    host: bytes,
    authority: bytes,
    client: bytes,
    scheme: bytes,
    trust_forwarded: bool,
    rules: Rules,
    origin: bytes | None = None,
    accept_encoding: AcceptEncoding = "identity",
    destination: bytes | None = None,
    own_id: bool = False,
) -> Fields:
    """The fields of the upstream request, without its framing.

    `host` is what Host shall say, `authority` what the client asked for,
    `client` the address of the peer. `origin` replaces what Origin says, and
    `destination` what Destination says. `own_id`: the client's X-Request-Id does not
    pass.
    """
    fields: Fields = [(b"Host", host)]
    passed = PASSED if accept_encoding == "identity" else PASSED_SIGNED
    fields += [field for field in head.fields if passed[field[0]]]
    if own_id:
        fields = [field for field in fields if not NAMES_REQUEST[field[0]]]
    named = connection_names(head)
    if named:
        fields = [field for field in fields if field[0].lower() not in named]
    if origin is not None and b"origin" in head.index:
        fields = [with_origin(field, origin) for field in fields]
    if destination is not None:
        fields = [with_destination(field, destination) for field in fields]
    if passed is PASSED or not has_field(fields, b"accept-encoding"):
        fields.append(IDENTITY)
    fields += forwarded_fields(head, authority, client, scheme, trust_forwarded)
    fields.append(via(head))
    return rules.apply(fields)


def has_field(fields: Fields, name: bytes) -> bool:
    """Is there a field of this lower-case name?"""
    return any(field[0].lower() == name for field in fields)


def with_origin(field: tuple[bytes, bytes], origin: bytes) -> tuple[bytes, bytes]:
    """Origin replaced; `null` is a page without one, and stays (RFC 6454 §7.1)."""
    if field[0].lower() != b"origin" or field[1] == b"null":
        return field
    return (field[0], origin)


def with_destination(
    field: tuple[bytes, bytes], destination: bytes
) -> tuple[bytes, bytes]:
    """Destination replaced."""
    return (field[0], destination) if field[0].lower() == b"destination" else field


def merge_member(fields: Fields, name: bytes, member: bytes) -> Fields:
    """Add a member to a comma-separated field unless it is there already."""
    key = name.lower()
    last = None
    for position, (other, value) in enumerate(fields):
        if other.lower() == key:
            if member in [part.strip(b" \t").lower() for part in value.split(b",")]:
                return fields
            last = position
    if last is None:
        return [*fields, (name, member)]
    fields = list(fields)
    known, value = fields[last]
    fields[last] = (known, value + b", " + member if value else member)
    return fields


def remove_member(fields: Fields, name: bytes, member: bytes) -> Fields:
    """Take a member out of a comma-separated field; an emptied field goes."""
    key = name.lower()
    kept: Fields = []
    for field in fields:
        if field[0].lower() != key or member not in field[1].lower():
            kept.append(field)
            continue
        parts = [part.strip(b" \t") for part in field[1].split(b",")]
        left = [part for part in parts if part and part.lower() != member]
        if left:
            kept.append((field[0], b", ".join(left)))
    return kept
