"""A response's fields as HTTP/2 has them (RFC 9113 §8.2, §8.3.2), and trailers.

What only HTTP/1.1 has is left out, whoever has put it there: a route's own rules may
have, and WebKit takes a response with Connection for none. Pure.
"""

from __future__ import annotations

from proxy.http1.grammar import LOWER_NAMES, Fields
from proxy.http2.field_compression import encoded_field, encoded_status
from proxy.http2.request_fields import CONNECTION_SPECIFIC
from proxy.policy.response_plan import TUNNEL, ResponsePlan

# Of the handshake of HTTP/1.1 alone (RFC 8441 §5).
ACCEPT = b"sec-websocket-accept"


def response_block(plan: ResponsePlan) -> bytes:
    """The header block of a response; written once, for any connection.

    A switch to another protocol is 200 in HTTP/2 (RFC 8441 §5).
    """
    block = plan.block
    if not block:
        switched = plan.framing is TUNNEL
        status = 200 if switched else plan.status
        plan.block = block = encoded_status(status) + fields_block(
            [field for field in plan.fields if field[0].lower() != ACCEPT]
            if switched
            else plan.fields
        )
    return block


def fields_block(fields: Fields) -> bytes:
    """The header block of fields; alone, of trailers."""
    parts = []
    for name, value in fields:
        lower = LOWER_NAMES[name]
        if lower not in CONNECTION_SPECIFIC:
            parts.append(encoded_field(lower, value.strip(b" \t")))
    return b"".join(parts)
