"""Who may look, told from a request alone. Pure.

A page that somebody else serves must learn nothing here, whatever name it has
had resolved to this machine (DNS rebinding), and neither must a person whose
request came through another proxy on this machine.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from proxy.config.model import Config
from proxy.errors import ClientError
from proxy.http1.head import RequestHead
from proxy.policy.local_client import (
    is_direct,
    is_local,
)
from proxy.policy.routing import destination

Enabled: TypeAlias = bool | Literal["loopback"]
PATH = b"/_unbuffered/"
PROBES = ("health", "ready")
DRAIN = "drain"
FOR_MACHINES = ("metrics", *PROBES, DRAIN)  # by the key of [metrics]
EXCHANGE = re.compile(r"exchanges/(\d{1,9})-(\d{1,18})(/feed)?")
REQUEST = re.compile(r"requests/([!-~]{1,384})")  # percent-encoded
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


class Asked(NamedTuple):
    """A request below PATH."""

    path: str  # below it
    query: list[str]
    enabled: Enabled  # what the configuration says of such a path
    admin: bool = False  # has it come to the admin listener?

    @property
    def machine(self) -> bool:
        """Is it for programs, which do not look at exchanges?"""
        return self.path in FOR_MACHINES

    @property
    def probe(self) -> bool:
        """Is it what a load balancer asks, from wherever it is?"""
        return self.path in PROBES

    @property
    def page(self) -> bool:
        """Is it a file of the page, the same for everybody?"""
        return self.path == "" or self.path.startswith("page/")


def asked(config: Config, head: RequestHead, *, admin: bool = False) -> Asked | None:
    """What is asked for below PATH; None: the request is for a route.

    `admin`: it has come to the admin listener.
    """
    if not head.target.startswith(PATH):
        return None
    path, _, query = head.target[len(PATH) :].decode("latin-1").partition("?")
    enabled = config.inspector.enabled
    if path in FOR_MACHINES:
        enabled = config.metrics.enabled or (path == DRAIN and enabled)
    return Asked(path, query.split("&"), enabled, admin)


def in_origin_form(head: RequestHead) -> RequestHead:
    """A request whose target is an address of ours, as it mostly comes.

    RFC 9112 §3.2.2: an absolute target is to be accepted, and replaces Host.
    """
    if head.target[:1] == b"/" or PATH not in head.target:
        return head
    try:
        where = destination(head)
    except ClientError:  # its route says so
        return head
    if not where.path.startswith(PATH) or where.authority is None:
        return head
    fields = [field for field in head.fields if field[0].lower() != b"host"]
    fields.insert(0, (b"Host", where.authority))
    return RequestHead(head.method, where.path, head.minor, fields)


def refusal(
    question: Asked, address: bytes, head: RequestHead, server_name: str | None
) -> tuple[int, str]:
    """Status and reason where a client that may look gets no answer; else 0.

    Metrics and probes are for programs that send no Connection (Prometheus, the
    probes of load balancers), and show no exchange. A drain has rules of its own.
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
    if not is_known(question):
        return 404, "not found; the inspector is at /_unbuffered/"
    return 0, ""


def is_known(question: Asked) -> bool:
    """Is there such a path?"""
    return (
        question.machine
        or question.page
        or question.path == "feed"
        or KEPT.fullmatch(question.path) is not None
        or EXCHANGE.fullmatch(question.path) is not None
        or REQUEST.fullmatch(question.path) is not None
    )


def may_look(
    enabled: Enabled, address: bytes, head: RequestHead, own_names: frozenset[bytes]
) -> bool:
    """Is a client answered by the proxy itself?"""
    if enabled is True:
        return True
    return enabled == "loopback" and is_local(address, head, own_names)


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
