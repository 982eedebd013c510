"""Field policy: which fields cross the proxy, and in what form.

Pure functions over field lines. Nothing here awaits or knows about sockets.
Order matters and is always: drop what is hop-by-hop, drop what may be forged,
then add our own. So a client that names one of our fields in Connection
removes nothing that we add.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.model import FieldRules
from proxy.http1.head import Fields, Head, RequestHead

# RFC 9110 §7.6.1, with the fields that older software sends.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
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
PSEUDONYM = b"unbuffered"


def connection_names(head: Head) -> set[bytes]:
    """The fields that Connection declares to be for this hop only."""
    return set(head.members(b"connection")) - NEVER_NAMED


def strip_hop_by_hop(head: Head) -> Fields:
    """The fields that are meant for the next hop too, in order."""
    if b"connection" in head.index:
        dropped: frozenset[bytes] | set[bytes] = HOP_BY_HOP | connection_names(head)
    else:
        dropped = HOP_BY_HOP
    return [field for field in head.fields if field[0].lower() not in dropped]


class Rules:
    """`set` and `remove` of one direction of a route, ready to apply."""

    __slots__ = ("added", "dropped")

    def __init__(self, rules: FieldRules) -> None:
        self.added: Fields = [
            (name.encode("ascii"), value.encode("utf-8"))
            for name, value in rules.set.items()
        ]
        self.dropped = frozenset(
            name.lower().encode("ascii") for name in (*rules.remove, *rules.set)
        )

    def apply(self, fields: Fields) -> Fields:
        """Remove what is listed, then add what is set."""
        if self.dropped:
            fields = without(fields, self.dropped)
        return [*fields, *self.added] if self.added else fields


def without(fields: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Fields:
    """The fields whose lower-case name is not in `names`."""
    return [field for field in fields if field[0].lower() not in names]


def via(head: Head) -> tuple[bytes, bytes]:
    """Our entry in Via: the version the message came in (RFC 9110 §7.6.3)."""
    return (b"Via", b"1.%d %b" % (head.minor, PSEUDONYM))


# Replaced on every upstream request: Host and the length by our own framing,
# Accept-Encoding because a stream that is never compressed is never held.
REPLACED = frozenset({b"host", b"content-length", b"accept-encoding"})
IDENTITY = (b"Accept-Encoding", b"identity")


def request_fields(
    head: RequestHead,
    *,
    host: bytes,
    authority: bytes,
    client: bytes,
    scheme: bytes,
    trust_forwarded: bool,
    rules: Rules,
) -> Fields:
    """The fields of the upstream request, without its framing.

    `host` is what Host shall say, `authority` what the client asked for,
    `client` the address of the peer.
    """
    fields: Fields = [(b"Host", host)]
    forwarded = forwarded_fields(head, authority, client, scheme, trust_forwarded)
    for field in strip_hop_by_hop(head):
        name = field[0].lower()
        if name in REPLACED or name.startswith(b"x-forwarded-"):
            continue
        if name == b"forwarded" and not trust_forwarded:
            continue
        fields.append(field)
    fields.append(IDENTITY)
    fields.extend(forwarded)
    fields.append(via(head))
    return rules.apply(fields)


def forwarded_fields(
    head: RequestHead, authority: bytes, client: bytes, scheme: bytes, trust: bool
) -> Fields:
    """X-Forwarded-*: ours, or with `trust` the client's continued by ours.

    X-Forwarded-For lists each hop; -Proto and -Host tell what the first client
    used, so a trusted value stays (MDN: X-Forwarded-For, X-Forwarded-Host).
    """
    own = {
        b"X-Forwarded-For": client,
        b"X-Forwarded-Proto": scheme,
        b"X-Forwarded-Host": authority,
    }
    if trust:
        for name in own:
            known = head.get(name.lower())
            if known:
                appended = known + b", " + client
                own[name] = appended if name == b"X-Forwarded-For" else known
    fields = [field for field in own.items() if field[1]]
    if trust:
        named = frozenset(name.lower() for name in own)
        fields += [
            field
            for field in head.fields
            if field[0].lower().startswith(b"x-forwarded-")
            and field[0].lower() not in named
        ]
    return fields


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


def head_bytes(start_line: bytes, fields: Fields) -> bytes:
    """A head as it goes on the wire."""
    return b"%b\r\n%b\r\n" % (start_line, b"".join([b"%b: %b\r\n" % f for f in fields]))
