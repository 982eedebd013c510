"""May a connection serve another exchange (RFC 9112 §9.3)?"""

from __future__ import annotations

from proxy.http1.head import Head, ResponseHead


def wants_keep_alive(head: Head) -> bool:
    """Does the sender of this head keep the connection open?"""
    if b"connection" not in head.index:
        return head.minor >= 1
    options = head.members(b"connection")
    if b"close" in options:
        return False
    return head.minor >= 1 or b"keep-alive" in options


def stays_in_step(head: ResponseHead) -> bool:
    """May the upstream's connection serve again once this response is read?

    A 204 that announces a body may be followed by one.
    """
    if head.status == 204 and (
        b"transfer-encoding" in head.index
        or head.get(b"content-length") not in (None, b"0")
    ):
        return False
    return wants_keep_alive(head)
