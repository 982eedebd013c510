"""The heads of one exchange as they came and as they were sent, without credentials.

What was sent is read from the plans that were sent.
"""

from __future__ import annotations

from proxy.exchange.exchange import Exchange
from proxy.http1.grammar import Fields
from proxy.http1.head import HTTP2, RequestHead, ResponseHead
from proxy.http2.response_fields import as_sent
from proxy.observe.capture_buffer import FIELD, HEADS
from proxy.observe.list_row import text
from proxy.observe.redaction import masked_fields, masked_line
from proxy.policy.request_plan import RequestPlan
from proxy.policy.response_plan import ResponsePlan
from proxy.timeline import Timeline

Sides = dict[str, dict[str, object]]


def shown_heads(
    timeline: Timeline, exchange: Exchange | None, kept: object = None
) -> Sides:
    """All four heads, as far as they are known; `kept` is from its end."""
    if exchange is not None and not exchange.is_over:
        return shown(
            (
                exchange.head,
                exchange.request_plan,
                exchange.response_head,
                exchange.response_plan,
            )
        )
    return shown(timeline.heads if kept is None else kept)


def shown(heads: object) -> Sides:
    """The heads that `Timeline.heads` has."""
    head, sent, received, answer = heads if isinstance(heads, tuple) else NONE
    request: dict[str, object] = {"received": came(head), "sent": None}
    response: dict[str, object] = {"received": came(received), "sent": None}
    if isinstance(head, RequestHead):
        request["version"] = head.version
    if isinstance(received, ResponseHead):
        response["status"] = received.status
        response["reason"] = received.reason.decode("latin-1")
        response["version"] = received.version
    if isinstance(sent, RequestPlan):
        request["sent"] = masked_fields(sent.fields)
        request["line"] = masked_line(text(sent.line))
    if isinstance(answer, ResponsePlan):
        # A plan may be of two clients at a time: whose this is, its request says.
        by_http2 = isinstance(head, RequestHead) and head.minor == HTTP2
        fields = as_sent(answer.fields) if by_http2 else answer.all_fields
        response["sent"] = masked_fields(fields)
        response["line"] = f"HTTP/2 {answer.status}" if by_http2 else text(answer.line)
    return {"request": request, "response": response}


NONE = (None, None, None, None)


def came(head: object) -> list[list[str]] | None:
    if isinstance(head, RequestHead | ResponseHead):
        return masked_fields(head.fields)
    return None


def size_of(heads: object) -> int:
    """About how many bytes heads hold."""
    return sum(map(size_of_one, heads)) if isinstance(heads, tuple) else 0


def weight_of(heads: object) -> int:
    """About how much memory they take."""
    count = sum(map(count_of, heads)) if isinstance(heads, tuple) else 0
    return size_of(heads) + HEADS + FIELD * count


def count_of(head: object) -> int:
    """How many fields one has."""
    if isinstance(head, RequestHead | ResponseHead | RequestPlan | ResponsePlan):
        return len(head.fields)
    return 0


def size_of_one(head: object) -> int:
    if isinstance(head, RequestHead | ResponseHead | RequestPlan | ResponsePlan):
        fields: Fields = head.fields
        return sum(len(name) + len(value) for name, value in fields)
    return 0
