"""WebSocket over HTTP/2 (RFC 8441) as the upgrade of HTTP/1.1 that the upstream gets.

The key of the handshake is made here, since HTTP/2 has none, and what the upstream
makes of it is checked here too: a client of HTTP/2 cannot. Everything else of the
handshake is for the two ends: version, subprotocols, extensions. Pure but for the key.
"""

from __future__ import annotations

import base64
import os

from proxy.http1.grammar import Fields
from proxy.http1.head import HTTP2, RequestHead
from proxy.policy.response_plan import TUNNEL, ResponsePlan

WEBSOCKET = b"websocket"
KEY = b"sec-websocket-key"


def upgrade_head(head: RequestHead) -> RequestHead:
    """The handshake of RFC 6455 §4.1 that an extended CONNECT stands for."""
    host, *others = head.fields
    fields: Fields = [
        host,
        (b"Connection", b"Upgrade"),
        (b"Upgrade", WEBSOCKET),
        *(field for field in others if field[0] != KEY),
        (b"Sec-WebSocket-Key", base64.b64encode(os.urandom(16))),
    ]
    return RequestHead(b"GET", head.target, HTTP2, fields)


def never_open(plan: ResponsePlan) -> ResponsePlan:
    """The response to an extended CONNECT, whoever made it: 2xx opens a tunnel.

    What the proxy itself has at the path that is asked for is no WebSocket.
    """
    if plan.framing is TUNNEL or not 200 <= plan.status < 300:
        return plan
    return ResponsePlan(501, b"Not Implemented", plan.fields, plan.framing)
