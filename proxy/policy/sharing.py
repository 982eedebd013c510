"""Which clients get one upstream stream together.

Two requests share a stream if the upstream could not tell them apart by what counts,
and the response says nothing to the contrary. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from proxy.http1.head import RequestHead, ResponseHead
from proxy.policy.connection_auth import binds_request, binds_response
from proxy.policy.delivery import Delivery, has_digest, media_type
from proxy.policy.head_values import query_values
from proxy.policy.resumption import is_mcp
from proxy.policy.routing import destination
from proxy.policy.stream_identity import fingerprint
from proxy.policy.upgrade import is_upgrade

# A request with one of these asks for a part of its own, or has a body.
PRIVATE = frozenset({b"range", b"last-event-id", b"transfer-encoding"})
# What a response may vary by all the same: the upstream is asked for `identity` by
# all, and `may_join` looks at Accept.
NEGOTIATED = frozenset({b"accept", b"accept-encoding"})


def share_group(
    head: RequestHead, where_path: bytes, by: Sequence[str], secret: bytes
) -> bytes | None:
    """What requests have in common that may get one stream; None: this one may not.

    `where_path`: path and query, as they are routed. The host counts as well: by it
    an upstream may tell tenants apart. `secret`: as of `fingerprint`.
    """
    index = head.index
    if (
        head.method != b"GET"
        or not PRIVATE.isdisjoint(index)
        or index.get(b"content-length", b"0") != b"0"
        or query_values(head.target, b"lastEventID")
        or is_upgrade(head)
        or is_mcp(head)  # each message goes over one stream only
        or binds_request(head)
    ):
        return None
    host = (destination(head).authority or b"").lower()
    who = fingerprint(head, by, secret)
    text = b"%d:%b%d:%b%b" % (len(host), host, len(where_path), where_path, who)
    return blake2b(text, key=secret, digest_size=32).digest()


def may_share(
    request: RequestHead,
    response: ResponseHead,
    delivery: Delivery,
    by: Sequence[str],
) -> bool:
    """May others get the response to this request, too, from the middle on?

    Cache-Control says nothing about it: event streams always have `no-store`, and a
    client that gets a stream while it is sent is not a cache (RFC 9111 §1).
    """
    if response.status != 200 or delivery.format is None or request.method != b"GET":
        return False
    if b"set-cookie" in response.index or has_digest(response):
        return False
    if is_mcp(request) or is_mcp(response) or binds_response(response):
        return False
    told_apart = NEGOTIATED | {name.lower().encode("utf-8") for name in by}
    return told_apart.issuperset(response.members(b"vary"))


def may_join(request: RequestHead, response: ResponseHead) -> bool:
    """May a client get the stream that another client of its group has asked for?

    If the stream varies by Accept, its Accept has to take the type of the stream
    (RFC 9110 §12.5.1).
    """
    accepted = request.members(b"accept")
    if b"accept" not in response.members(b"vary") or not accepted:
        return True
    kind = media_type(response)
    ranges = (kind, kind.partition(b"/")[0] + b"/*", b"*/*")
    return any(each.partition(b";")[0].rstrip(b" \t") in ranges for each in accepted)
