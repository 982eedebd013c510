"""The switch to another protocol on a connection (RFC 9110 §7.8). Pure.

Over HTTP/2 a client asks for it by an extended CONNECT (RFC 8441), of which `http2` has
made a request with Upgrade. The handshake that it stands for has its key from here, so
here, too, is checked what the upstream makes of the key.
"""

from __future__ import annotations

import base64
from hashlib import sha1

from proxy.errors import MalformedResponse
from proxy.http1.grammar import Fields, shown
from proxy.http1.head import HTTP2, Head, RequestHead, ResponseHead
from proxy.policy.header_fields import remove_member

# HTTP/2 by upgrade is another protocol over a connection that this proxy
# would no longer understand: the way of "h2c smuggling". RFC 9113 dropped it.
NEVER_TUNNELLED = frozenset({b"h2c", b"http/2.0"})
WEBSOCKET_ID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


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


# -- extended CONNECT


def is_extended_connect(head: Head) -> bool:
    """Does a request stand for an extended CONNECT (RFC 8441 §4)?

    Upgrade is no field of HTTP/2: nothing else puts it into such a head.
    """
    return head.minor == HTTP2 and b"upgrade" in head.index


def accept_value(key: bytes) -> bytes:
    """What Sec-WebSocket-Accept says to a Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    digest = sha1(key + WEBSOCKET_ID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def check_answer(request: RequestHead, response: ResponseHead) -> None:
    """The answer to an extended CONNECT: a handshake that fits its key, or no 2xx.

    2xx would tell the client of HTTP/2 that its WebSocket is open.

    Raises:
        MalformedResponse.
    """
    if response.status == 101:
        accept = response.index.get(b"sec-websocket-accept")
        if accept != accept_value(request.index[b"sec-websocket-key"]):
            found = "no Sec-WebSocket-Accept" if accept is None else shown(accept)
            raise MalformedResponse(
                f"the upstream's WebSocket handshake has {found}, which does not match "
                "the Sec-WebSocket-Key of this request (RFC 6455 §4.2.2)"
            )
    elif 200 <= response.status < 300:
        raise MalformedResponse(
            f"the upstream answered {response.status} to a WebSocket handshake, which "
            "would open it (is ws = true set on this route?)"
        )
