"""Does a program on this machine ask, and not somebody behind another proxy? Pure.

A local proxy makes all of its clients look like this machine, and a page that somebody
else serves may have any name resolved to it (DNS rebinding).
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from proxy.config.admin_checks import admin_address
from proxy.config.model import Config
from proxy.http1.head import RequestHead

# The address of a peer on a Unix socket. Only other workers come that way: a
# socket for clients would have nginx look like one of them, with `localhost` as
# its Host.
UNIX = b"unix"
# That of a peer on the Unix socket of the admin listener: a program on this machine.
ADMIN_SOCKET = b"admin socket"
# A hop that has added a field of such a name stands between us and the person: what
# proxies, load balancers and content networks call the client and the request.
OF_A_HOP = re.compile(
    rb"via|forwarded|cdn-loop|cf-.*|fly-.*|fastly-.*|akamai-.*|tailscale-.*|ngrok-.*"
    rb"|x-(?:forwarded|original|envoy|amzn?|azure|appengine|arr|vercel|proxyuser)-.*"
    rb"|.*(?:real|client|connecting|remote|cluster)-?(?:ip|addr|address)"
)
PORT = re.compile(rb"(?::\d{0,5})?")


class Entrance(NamedTuple):
    """Where a request has come in."""

    scheme: bytes
    host: str  # an address of this machine
    port: int  # 0: not known, as of a Unix socket
    server_name: str | None  # see `is_direct`


def names_of(config: Config) -> frozenset[bytes]:
    """What clients may call this machine, beside the names that all machines have."""
    admin = admin_address(config.server)
    hosts = {config.server.host, *(() if admin is None else (admin.host,))}
    return frozenset(host.lower().encode() for host in hosts if host)


def is_local(address: bytes, head: RequestHead, own_names: frozenset[bytes]) -> bool:
    """May it be a program on this machine? `is_direct` says whether that is certain."""
    return (
        is_loopback(address)
        # nginx asks by HTTP/1.0 unless told otherwise, with the address of its
        # upstream as Host: ours. No browser does.
        and head.version != "1.0"
        and not any(map(OF_A_HOP.fullmatch, head.index))
        and is_own_name(head.get(b"host"), own_names)
    )


def is_direct(address: bytes, head: RequestHead, server_name: str | None) -> bool:
    """Does the client speak of this very connection, and not a hop for it?

    RFC 9110 §7.6.1: a hop takes Connection out, or has an option of its own there.
    nginx by HTTP/1.1 leaves no other trace, unless told to: its Host is our address.
    Every browser says keep-alive. HTTP/2 has no such field: browsers speak it by TLS
    alone, with the host as TLS server name. HAProxy before 3.3 and nginx send none to
    what is behind them, unless told to. `server_name`: None without TLS, "" where
    the client has sent none (RFC 6066 §3: of an IP address nobody does).
    """
    if address == UNIX or b"keep-alive" in head.members(b"connection"):
        return True
    if head.version != "2.0" or not server_name:
        return False
    host = (head.get(b"host") or b"").decode("latin-1").lower()
    return server_name.lower().removesuffix(".") == without_port(host)


def is_behind(address: bytes, head: RequestHead, at: Entrance) -> bool:
    """May a server stand in front, at another address than ours?

    A dev server leaves few traces: Vite passes Host, with its own port.
    """
    return (
        any(map(OF_A_HOP.fullmatch, head.index))
        or (at.port != 0 and port_of(head.get(b"host") or b"", at.scheme) != at.port)
        or not is_direct(address, head, at.server_name)
    )


def port_of(host: bytes, scheme: bytes) -> int:
    """The port in a Host."""
    port = host.rpartition(b":")[2]
    if port.isdigit() and len(port) <= 5 and b":" in host:
        return int(port)
    return 443 if scheme == b"https" else 80


def without_port(host: str) -> str:
    """The name in a Host."""
    if host[:1] == "[":
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def is_loopback(address: bytes) -> bool:
    """Is the peer a program on this machine?"""
    if address in (UNIX, ADMIN_SOCKET):
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
        or (name not in (UNIX, ADMIN_SOCKET) and is_loopback(name))
    )
