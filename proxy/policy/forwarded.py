"""Who asked, and for what: X-Forwarded-* and Forwarded (RFC 7239).

Written anew on every request. What a client says there counts only if it is
trusted, a proxy of one's own; then its account is continued by ours.
"""

from __future__ import annotations

from proxy.http1.grammar import Fields, is_authority
from proxy.http1.head import RequestHead
from proxy.policy.response_rewrite import DEFAULT_PORTS, Public, split_port
from proxy.policy.routing import destination

OWN_NODE = b"_unbuffered"  # RFC 7239 §6.3: an obfuscated identifier of ours
SCHEMES = (b"http", b"https")


def forwarded_fields(
    head: RequestHead, authority: bytes, client: bytes, scheme: bytes, trust: bool
) -> Fields:
    """X-Forwarded-*: ours, or with `trust` the client's continued by ours.

    X-Forwarded-For lists each hop; -Proto, -Host and -Port tell what the first
    client used, so a trusted value stays (MDN: X-Forwarded-For, X-Forwarded-Host).
    """
    if not trust:
        fields = [(b"X-Forwarded-For", client), (b"X-Forwarded-Proto", scheme)]
        if authority:
            fields.append((b"X-Forwarded-Host", authority))
            fields.append((b"X-Forwarded-Port", port_of(authority, scheme)))
        return fields
    own = {
        b"X-Forwarded-For": client,
        b"X-Forwarded-Proto": scheme,
        b"X-Forwarded-Host": authority,
        b"X-Forwarded-Port": b"",
    }
    for name in own:
        known = head.get(name.lower())
        if known:
            appended = known + b", " + client
            own[name] = appended if name == b"X-Forwarded-For" else known
    if not own[b"X-Forwarded-Port"]:
        public = public_address(head, scheme, trust)
        own[b"X-Forwarded-Port"] = port_of(public.authority or b"", public.scheme)
    fields = [field for field in own.items() if field[1]]
    named = frozenset(name.lower() for name in own)
    fields += [
        field
        for field in head.fields
        if field[0].lower().startswith(b"x-forwarded-")
        and field[0].lower() not in named
    ]
    chain = head.get(b"forwarded")
    if chain:  # without our hop it would tell of a way that ends before us
        element = forwarded_element(authority, client, scheme)
        fields.append((b"Forwarded", chain + b", " + element))
    return fields


def port_of(authority: bytes, scheme: bytes) -> bytes:
    """The port that a client has asked; nothing if it named no host."""
    return (split_port(authority)[1] or DEFAULT_PORTS[scheme]) if authority else b""


def forwarded_element(authority: bytes, client: bytes, scheme: bytes) -> bytes:
    """Our hop (RFC 7239 §4): what is no token stands in quotes."""
    node = b"unknown" if client == b"unix" else client
    if b":" in client:  # §6: IPv6 in brackets; a zone is for one machine only
        node = b'"[%b]"' % client.partition(b"%")[0]
    host = b';host="%b"' % authority if authority else b""
    return b"for=%b;proto=%b%b;by=%b" % (node, scheme, host, OWN_NODE)


def public_address(head: RequestHead, scheme: bytes, trust: bool) -> Public:
    """What the first client asked for, as far as it is to be believed."""
    authority = destination(head).authority
    if trust:
        proto = first(head, b"x-forwarded-proto")
        host = first(head, b"x-forwarded-host")
        if proto.lower() in SCHEMES:
            scheme = proto.lower()
        if is_authority(host):
            authority = host
    return Public(scheme, authority)


def first(head: RequestHead, name: bytes) -> bytes:
    """The first member of a field that each hop may have added to."""
    return (head.get(name) or b"").partition(b",")[0].strip(b" \t")
