"""A response's fields as HTTP/2 has them (RFC 9113 §8.2, §8.3.2), and trailers.

What only HTTP/1.1 has is left out, whoever has put it there: a route's own rules may
have, and WebKit takes a response with Connection for none. Pure.
"""

from __future__ import annotations

from proxy.http1.grammar import LOWER_NAMES, Fields
from proxy.http2.field_compression import encoded_field, encoded_status
from proxy.http2.request_fields import CONNECTION_SPECIFIC
from proxy.policy.response_plan import ResponsePlan


def response_block(plan: ResponsePlan) -> bytes:
    """The header block of a response; written once, for any connection."""
    block = plan.block
    if not block:
        plan.block = block = encoded_status(plan.status) + fields_block(plan.fields)
    return block


def fields_block(fields: Fields) -> bytes:
    """The header block of fields; alone, of trailers."""
    return b"".join([encoded_field(name, value) for name, value in as_sent(fields)])


def as_sent(fields: Fields) -> Fields:
    """Fields of a response, or trailers, as a client of HTTP/2 gets them."""
    sent = [(LOWER_NAMES[name], value.strip(b" \t")) for name, value in fields]
    return [field for field in sent if field[0] not in CONNECTION_SPECIFIC]
