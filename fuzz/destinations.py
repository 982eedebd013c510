"""Destination of COPY and MOVE: what goes on names the same server, inside its path.

Whoever may write below one path of an upstream must not reach what is beside it,
and no spelling of an address may pass for the proxy's own.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

import h11

from proxy.config.load import build
from proxy.config.reader import Reader
from proxy.errors import MalformedRequest, ProxyError
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.http1.framing import request_body
from proxy.http1.head import RequestHead, parse_request_head
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.webdav_destination import check_destination, upstream_destination
from proxy.timeline import monotonic
from proxy.tools.explain.dry_run import Stopped

HOST = b"public:8080"
UP = "http://up:9000"
# By prefix: the target, the rules, and the path below which all of it has to stay.
ROUTES = {
    "/dav": (f"{UP}/files", {"^/dav": "/v1"}, b"/files"),
    "/dav/bare": (f"{UP}/bare", {"^/dav/bare": ""}, b"/bare"),
    "/dav/same": (f"{UP}/base", {}, b"/base/dav/same"),
    "/dav/cut": (f"{UP}/cut", {"/dav/cut/a/b": ""}, b"/cut"),
    "/dav/other": ("http://other:9000", {}, b""),
}


def compiled(change_origin: bool) -> CompiledRoutes:
    tables = {
        prefix: {"target": target, "path_rewrite": rules}
        | {"change_origin": change_origin}
        for prefix, (target, rules, _) in ROUTES.items()
    }
    document: dict[str, object] = {"server": {"port": 1}, "routes": tables}
    config = build(Reader("", {}), document, {})
    return CompiledRoutes(config, Stopped(monotonic))


PREPARED = (compiled(False), compiled(True))


def check(data: bytes) -> None:
    """One byte chooses the configuration; the rest is the Destination."""
    if not data:
        return
    ready, value = PREPARED[data[0] % 2], data[1:]
    text = b"MOVE /dav/a HTTP/1.1\r\nHost: %b\r\nDestination: %b\r\n\r\n"
    try:
        head = parse_request_head(text % (HOST, value))
    except ProxyError:
        return
    route = ready.router.match(b"/dav/a")
    try:
        check_destination(head, HOST, ready.router.at)
        new = upstream_destination(
            head, HOST, route.route, route.route.targets[0], ready.router.at
        )
    except MalformedRequest:
        return
    if new is not None:
        old = head.index[b"destination"]
        assert old is not None
        check_origin(old, new, changed=bool(data[0] % 2))
        check_inside(ready, old, new)
        assert sent(route, head) == [new]


def check_origin(old: bytes, new: bytes, *, changed: bool) -> None:
    """An address is the proxy's own, to another reader too."""
    if old[:1] == b"/":
        assert new[:1] == b"/"
        return
    parts = urlsplit(old.decode("latin-1"))
    assert (parts.hostname, parts.port, parts.username) == ("public", 8080, None)
    assert new.startswith(UP.encode() if changed else old[: old.index(b"//") + 2])


def check_inside(ready: CompiledRoutes, old: bytes, new: bytes) -> None:
    """However often a server decodes it, it stays below the path of its route."""
    target, _, base = ROUTES[ready.router.match(path_of(old)).route.prefix]
    assert target.startswith(UP)
    path = path_of(new).partition(b"?")[0]
    while True:
        resolved: list[bytes] = []
        for segment in path.replace(b"\\", b"/").split(b"/"):
            if segment == b"..":
                del resolved[-1:]
            elif segment not in (b"", b"."):
                resolved.append(segment)
        wanted = [each for each in base.split(b"/") if each]
        assert resolved[: len(wanted)] == wanted, (path, base)
        decoded = unquote_to_bytes(path)
        if decoded == path:
            return
        path = decoded


def path_of(reference: bytes) -> bytes:
    if reference[:1] == b"/":
        return reference
    begin = reference.index(b"//") + 2
    ends = [at for mark in b"/?" if (at := reference.find(mark, begin)) >= 0]
    path = reference[min(ends) :] if ends else b""
    return path if path[:1] == b"/" else b"/" + path


def sent(route: CompiledRoute, head: RequestHead) -> list[bytes]:
    """The Destinations that the upstream gets, as h11 reads them."""
    target = route.route.targets[0]
    plan = RequestPlanner(b"192.0.2.7", b"http").plan(
        head,
        request_body(head),
        route,
        target,
        b"/dav/a",
        HOST,
        trusted=False,
        upgrade=False,
    )
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(plan.text)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return [value for name, value in event.headers if name == b"destination"]
