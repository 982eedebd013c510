"""Who may look, told from a request alone. Pure.

A page that somebody else serves must learn nothing here, whatever name it has
had resolved to this machine (DNS rebinding), and neither must a person whose
request came through another proxy on this machine.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Literal, TypeAlias

from proxy.http1.head import RequestHead

Enabled: TypeAlias = bool | Literal["loopback"]

# The address of a peer on a Unix socket. Only other workers come that way: a
# socket for clients would have nginx look like one of them, with `localhost` as
# its Host.
UNIX = b"unix"
# A hop that has added one of these, or any X-Forwarded-*, stands between us and the
# person.
OF_A_HOP = frozenset(
    {
        b"via",
        b"forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"true-client-ip",
        b"cf-connecting-ip",
    }
)
PORT = re.compile(rb"(?::\d{0,5})?")


def may_look(
    enabled: Enabled, address: bytes, head: RequestHead, own_names: frozenset[bytes]
) -> bool:
    """Is a client answered by the proxy itself?"""
    if enabled is True:
        return True
    return (
        enabled == "loopback"
        and is_loopback(address)
        # nginx asks by HTTP/1.0 unless told otherwise, with the address of its
        # upstream as Host: ours. No browser does.
        and head.minor >= 1
        and not any(map(is_of_a_hop, head.index))
        and is_own_name(head.get(b"host"), own_names)
    )


def is_of_a_hop(name: bytes) -> bool:
    """Does a field say that a hop has passed the request on? Lower case."""
    return name in OF_A_HOP or name.startswith(b"x-forwarded-")


def is_direct(address: bytes, head: RequestHead) -> bool:
    """Does the client speak of this very connection, and not a hop for it?

    RFC 9110 §7.6.1: a hop takes Connection out, or has an option of its own there.
    nginx by HTTP/1.1 leaves no other trace, unless told to: its Host is our address.
    Every browser says keep-alive.
    """
    return address == UNIX or b"keep-alive" in head.members(b"connection")


def is_loopback(address: bytes) -> bool:
    """Is the peer a program on this machine?"""
    if address == UNIX:
        return True
    try:
        ip = ip_address(address.decode("ascii").partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


def is_own_name(host: bytes | None, own_names: frozenset[bytes]) -> bool:
    """Does Host name this machine, and not somebody's domain that leads here?"""
    if host is None:
        return False
    name = host.lower()
    bracketed = name[:1] == b"["
    name, end, port = name[bracketed:].partition(b"]" if bracketed else b":")
    if PORT.fullmatch(port if bracketed else end + port) is None:
        return False
    return (
        name == b"localhost"
        or name.endswith(b".localhost")  # RFC 6761 §6.3
        or name in own_names
        or (name != UNIX and is_loopback(name))
    )


def is_foreign(head: RequestHead) -> bool:
    """Does a page of another origin ask (Fetch Metadata, Origin)?"""
    site = head.get(b"sec-fetch-site")
    if site is not None and site not in (b"same-origin", b"none"):
        return True
    origin = head.get(b"origin")
    if origin is None:
        return False
    _, _, authority = origin.partition(b"://")
    return authority.lower() != (head.get(b"host") or b"").lower()
