"""The fields of one exchange, before and after our changes, without credentials.

What was sent to the client is what was written to it. What was sent to the
upstream is made once more, from what was received, by the code that made it;
once an exchange has ended it is left only if somebody looked.
"""

from __future__ import annotations

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.http1.framing import request_body
from proxy.http1.grammar import Fields, parse_fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.observe.exchange_row import text
from proxy.observe.redaction import masked_fields, masked_line
from proxy.policy import messages
from proxy.timeline import Timeline

Sides = dict[str, dict[str, object]]
NOTHING: Sides = {
    "request": {"received": None, "sent": None},
    "response": {"received": None, "sent": None},
}


def heads(timeline: Timeline, exchange: Exchange | None, kept: object = None) -> Sides:
    """All four heads, as far as they are known; `kept` is from its end."""
    if exchange is not None:
        return heads_of(exchange)
    if isinstance(kept, dict):
        return kept
    if not isinstance(timeline.heads, tuple):
        return NOTHING
    request, response, sent = timeline.heads
    return {
        "request": {"received": shown(request), "sent": None},
        "response": {"received": shown(response), **shown_sent(sent)},
    }


def heads_of(exchange: Exchange) -> Sides:
    """The heads of an exchange that is under way."""
    told: Sides = {
        "request": {"received": shown(exchange.head), "sent": None},
        "response": {
            "received": shown(exchange.received),
            **shown_sent(exchange.response_bytes),
        },
    }
    try:
        sent = request_sent(exchange)
        if sent is not None:
            line, fields = split(sent)
            told["request"]["sent"] = masked_fields(fields)
            told["request"]["line"] = masked_line(line)
    except ProxyError:  # of a message that will be refused in a moment
        pass
    return told


def size_of(told: Sides) -> int:
    """About how many bytes heads hold."""
    return sum(
        len(name) + len(value)
        for side in told.values()
        for fields in side.values()
        if isinstance(fields, list)
        for name, value in fields
    )


def shown(head: RequestHead | ResponseHead | None) -> list[list[str]] | None:
    return None if head is None else masked_fields(head.fields)


def shown_sent(response: bytes) -> dict[str, object]:
    """The response head as it was written; none was if there are no bytes."""
    if not response:
        return {"sent": None}
    line, fields = split(response)
    return {"sent": masked_fields(fields), "line": line}


def split(head: bytes) -> tuple[str, Fields]:
    line, _, section = head.partition(b"\r\n")
    return text(line), parse_fields(section.removesuffix(b"\r\n"))


def request_sent(exchange: Exchange) -> bytes | None:
    """The head that went to the upstream, as `reaching` writes it."""
    route, upstream, where = exchange.route, exchange.upstream, exchange.where
    if route is None or upstream is None or where is None:
        return None
    if exchange.timeline.connected is None:
        return None  # it has not left yet, or never will
    head = exchange.head
    return messages.upstream_request(
        head,
        route,
        upstream.target,
        where.path,
        where.authority,
        request_body(head),  # of which nothing is read: the present one may be
        exchange.client,
        upgrade=exchange.upgrade,
        trusted=exchange.compiled.trusts(route, exchange.client.address),
    )
