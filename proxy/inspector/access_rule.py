"""Who may look, told from a request alone. Pure.

A page that somebody else serves must learn nothing here, whatever name it has
had resolved to this machine (DNS rebinding), and neither must a person whose
request came through another proxy on this machine.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple, TypeAlias

from proxy.config.model import Config
from proxy.http1.head import RequestHead

Enabled: TypeAlias = bool | Literal["loopback"]
PATH = b"/_unbuffered/"
FOR_MACHINES = ("metrics", "health")  # by the key of [metrics]
EXCHANGE = re.compile(r"exchanges/(\d{1,9})-(\d{1,18})(/feed)?")
KEPT = re.compile(r"kept/(\d{1,6}-[0-9a-f]{8})")  # what is shown of a stream's ID
UNCERTAIN = (
    "this request may come from another machine through a local proxy that does not "
    "identify itself; to show that it is local, send Connection: keep-alive by HTTP/1.1"
)
MISDIRECTED = (
    "this request may come from another machine through a local proxy that does not "
    "identify itself: over HTTP/2 the TLS server name (SNI) has to be the host of the "
    "request; ask by a host name, as in https://localhost:8443/_unbuffered/, or send "
    "Connection: keep-alive by HTTP/1.1; [inspector] enabled = true opens it to all"
)

# The address of a peer on a Unix socket. Only other workers come that way: a
# socket for clients would have nginx look like one of them, with `localhost` as
# its Host.
UNIX = b"unix"
# A hop that has added a field of such a name stands between us and the person: what
# proxies, load balancers and content networks call the client and the request.
OF_A_HOP = re.compile(
    rb"via|forwarded|cdn-loop|cf-.*|fly-.*|fastly-.*|akamai-.*|tailscale-.*|ngrok-.*"
    rb"|x-(?:forwarded|original|envoy|amzn?|azure|appengine|arr|vercel|proxyuser)-.*"
    rb"|.*(?:real|client|connecting|remote|cluster)-?(?:ip|addr|address)"
)
PORT = re.compile(rb"(?::\d{0,5})?")


class Asked(NamedTuple):
    """A request below PATH."""

    path: str  # below it
    query: list[str]
    enabled: Enabled  # what the configuration says of such a path

    @property
    def machine(self) -> bool:
        """Is it for programs, which do not look at exchanges?"""
        return self.path in FOR_MACHINES

    @property
    def page(self) -> bool:
        """Is it a file of the page, the same for everybody?"""
        return self.path == "" or self.path.startswith("page/")


def asked(config: Config, head: RequestHead) -> Asked | None:
    """What is asked for below PATH; None: the request is for a route."""
    if not head.target.startswith(PATH):
        return None
    path, _, query = head.target[len(PATH) :].decode("latin-1").partition("?")
    table = config.metrics if path in FOR_MACHINES else config.inspector
    return Asked(path, query.split("&"), table.enabled)


def names_of(config: Config) -> frozenset[bytes]:
    """What clients may call this machine, beside the names that all machines have."""
    return frozenset({config.server.host.lower().encode()})


def refusal(
    question: Asked, address: bytes, head: RequestHead, server_name: str | None
) -> tuple[int, str]:
    """Status and reason where a client that may look gets no answer; else 0.

    Metrics and health are for programs that send no Connection (Prometheus, the
    probes of load balancers), and show no exchange.
    """
    certain = question.enabled is True or question.machine
    certain = certain or is_direct(address, head, server_name)
    if head.method not in (b"GET", b"HEAD"):
        return 405, "this is read-only: use GET or HEAD"
    if not question.page and is_foreign(head):
        return 403, "a page of another origin cannot read this"
    if not certain:
        if head.version == "2.0" and server_name is not None:
            # Browsers share a connection between hosts of one certificate; told so,
            # they ask again on another one (RFC 9110 §15.5.20).
            return 421, MISDIRECTED
        return 403, UNCERTAIN
    known = question.machine or question.page or question.path == "feed"
    known = known or KEPT.fullmatch(question.path) is not None
    if not known and EXCHANGE.fullmatch(question.path) is None:
        return 404, "not found; the inspector is at /_unbuffered/"
    return 0, ""


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


def without_port(host: str) -> str:
    """The name in a Host."""
    if host[:1] == "[":
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


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
