"""The fields of one exchange, before and after our changes, without credentials.

What was sent is not kept: it is made once more, from what was received, by the
code that made it. Once an exchange has ended only what was received is left,
unless somebody looked.
"""

from __future__ import annotations

from proxy.errors import ProxyError
from proxy.exchange import Exchange
from proxy.http1.framing import LengthBody, request_body, response_body
from proxy.http1.grammar import Fields, parse_fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.observe.masking import masked_fields, masked_target
from proxy.observe.rows import text
from proxy.policy import messages
from proxy.policy.delivery import decide
from proxy.timeline import Timeline, http_date

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
    request, response = timeline.heads
    return {
        "request": {"received": shown(request), "sent": None},
        "response": {"received": shown(response), "sent": None},
    }


def heads_of(exchange: Exchange) -> Sides:
    """The heads of an exchange that is under way."""
    told: Sides = {
        "request": {"received": shown(exchange.head), "sent": None},
        "response": {"received": shown(exchange.received), "sent": None},
    }
    try:
        sent = request_sent(exchange)
        if sent is not None:
            line, fields = split(sent)
            told["request"]["sent"] = masked_fields(fields)
            told["request"]["line"] = masked_target(line)
        sent = response_sent(exchange)
        if sent is not None:
            line, fields = split(sent)
            told["response"]["sent"] = masked_fields(fields)
            told["response"]["line"] = line
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


def split(head: bytes) -> tuple[str, Fields]:
    line, _, section = head.partition(b"\r\n")
    return text(line), parse_fields(section.removesuffix(b"\r\n"))


def request_sent(exchange: Exchange) -> bytes | None:
    """The head that went to the upstream, as `reaching` writes it."""
    route, upstream, where = exchange.route, exchange.upstream, exchange.where
    if route is None or upstream is None or where is None:
        return None
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
        trusted=exchange.prepared.trusts(route, exchange.client.address),
    )


def response_sent(exchange: Exchange) -> bytes | None:
    """The head that went to the client, as `forward` writes it."""
    head, route, client = exchange.received, exchange.route, exchange.client
    if head is None or route is None:
        return None
    if head.status == 101:
        return messages.switching(head, route)
    body = response_body(head, exchange.head.method)
    delivery = decide(head, body, route.route.decode)
    sized = isinstance(body, LengthBody) and not delivery.codings
    chunked = not sized and exchange.head.minor >= 1
    return messages.client_response(
        head,
        body,
        delivery,
        route,
        exchange.head.minor,
        chunked=chunked,
        keep_alive=client.keep_alive,
        trailers=(
            chunked and not delivery.codings and messages.takes_trailers(exchange.head)
        ),
        date=http_date,
    )
