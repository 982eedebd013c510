"""The switch to another protocol on a connection (RFC 9110 §7.8). Pure."""

from __future__ import annotations

from proxy.http1.grammar import Fields
from proxy.http1.head import Head, RequestHead, ResponseHead
from proxy.policy.header_fields import remove_member

# HTTP/2 by upgrade is another protocol over a connection that this proxy
# would no longer understand: the way of "h2c smuggling". RFC 9113 dropped it.
NEVER_TUNNELLED = frozenset({b"h2c", b"http/2.0"})


def is_upgrade(head: RequestHead) -> bool:
    """Does the client ask for another protocol?"""
    return (
        b"upgrade" in head.index
        and head.version != "1.0"
        and b"upgrade" in head.members(b"connection")
        and bool(set(head.members(b"upgrade")) - NEVER_TUNNELLED)
    )


def is_agreed(request: RequestHead, response: ResponseHead) -> bool:
    """Did the upstream switch to a protocol that the client offered?"""
    chosen = response.members(b"upgrade")
    offered = set(request.members(b"upgrade")) - NEVER_TUNNELLED
    return bool(chosen) and set(chosen) <= offered


def upgrade_fields(head: Head) -> Fields:
    """Connection and Upgrade for the next hop."""
    fields = [field for field in head.fields if field[0].lower() == b"upgrade"]
    for protocol in NEVER_TUNNELLED:
        fields = remove_member(fields, b"Upgrade", protocol)
    return [(b"Connection", b"Upgrade"), *fields]
