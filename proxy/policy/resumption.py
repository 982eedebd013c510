"""Which streams are kept when their client leaves, and what their heads say of it.

Everything is told from heads alone: nobody waits for a body. That includes CORS:
a page of another origin has to be allowed to send Last-Event-ID, and to read
Stream-Id. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields
from proxy.http1.head import Head, RequestHead, ResponseHead
from proxy.policy.delivery import (
    COMPRESSED_SUFFIXES,
    COMPRESSED_TYPES,
    EVENTS,
    STREAM_TYPES,
    Delivery,
    has_digest,
    is_coded,
    media_type,
    reconnects,
    skips_comments,
)
from proxy.policy.header_fields import without

# Of what a page is made, or what is saved as a file: its client asks for it again.
PAGE_TYPES = frozenset(
    {
        b"application/ecmascript",
        b"application/javascript",
        b"application/pdf",
        b"application/wasm",
        b"application/x-javascript",
        b"application/xhtml+xml",
        b"text/css",
        b"text/ecmascript",
        b"text/html",
        b"text/javascript",
    }
)
PAGE_KINDS = (b"audio/", b"font/", b"image/", b"video/")

STREAM_ID = b"Stream-Id"
LAST_EVENT_ID = b"Last-Event-ID"
ALLOW_ORIGIN = b"access-control-allow-origin"
ALLOW_CREDENTIALS = b"access-control-allow-credentials"
EXPOSE_HEADERS = b"access-control-expose-headers"
# What CORS has in a response, and in the answer to a preflight (WHATWG Fetch, "HTTP
# responses" of the CORS protocol).
CORS = frozenset({ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS})
OF_PREFLIGHTS = frozenset({ALLOW_ORIGIN, ALLOW_CREDENTIALS})
METHODS = b"GET, HEAD, DELETE"  # of the address of a kept stream

# The first revision of MCP in which a stream that is closed is a request that is
# cancelled, and in which nothing can be resumed. Revisions are named by their dates.
MCP_CANCELS = b"2026-07-28"
REVISION = re.compile(rb"\d{4}-\d\d-\d\d")
MCP_FIELDS = frozenset({b"mcp-protocol-version", b"mcp-session-id", b"mcp-method"})


def may_keep(
    request: RequestHead, response: ResponseHead, body: Body, delivery: Delivery
) -> bool:
    """May a response be kept, so that it can be taken up again?

    Streams may, by their type; and what may be one: of unknown length, and neither a
    page nor a file.
    """
    if response.status != 200 or request.method == b"HEAD" or mcp_forbids(request):
        return False
    kind = media_type(response)
    if kind in STREAM_TYPES:
        return True
    if isinstance(body, LengthBody) or is_page_or_file(response, kind):
        return False
    # Coded bytes cannot be read from the middle on.
    return bool(delivery.codings) or not is_coded(response)


def is_page_or_file(head: ResponseHead, kind: bytes) -> bool:
    """Is the body a part of a page, or something to be saved? `kind`: its type."""
    if kind in PAGE_TYPES or kind.startswith(PAGE_KINDS):
        return True
    if kind in COMPRESSED_TYPES or kind.endswith(COMPRESSED_SUFFIXES):
        return True
    if b"bytes" in head.members(b"accept-ranges"):
        return True  # it can be taken up by Range already (RFC 9110 §14)
    disposition = head.get(b"content-disposition") or b""
    return disposition.partition(b";")[0].strip(b" \t").lower() == b"attachment"


def adds_ids(
    ids: bool | None,
    request: RequestHead,
    response: ResponseHead,
    delivery: Delivery,
    *,
    framed_by_length: bool,
) -> bool:
    """Does each event of a stream get an id, where the upstream sends none?

    `ids`: always, never, or (None) for a client that sends Last-Event-ID by itself,
    as an EventSource does. Not where another byte would make something else false:
    a length, a digest, the ids of MCP, the lines of Gemini's API.
    """
    if ids is False or delivery.format is not EVENTS or framed_by_length:
        return False
    if has_digest(response) or is_mcp(request) or is_mcp(response):
        return False
    if not skips_comments(request):  # its clients fail on any line that is not data
        return False
    return ids is True or reconnects(request)


# -- MCP (Model Context Protocol)


def is_mcp(head: Head) -> bool:
    """Does a request, or a response, say that it is one of MCP?"""
    return not MCP_FIELDS.isdisjoint(head.index)


def mcp_forbids(head: RequestHead) -> bool:
    """Must the stream of a request end when its client leaves?

    In MCP of revision 2026-07-28 and later that cancels the request. A version that
    is not a date is a draft of a later one. Only these revisions have Mcp-Method.
    """
    version = head.get(b"mcp-protocol-version")
    if version is None:
        return b"mcp-method" in head.index
    return REVISION.fullmatch(version) is None or version >= MCP_CANCELS


# -- CORS (WHATWG Fetch, "CORS protocol")


def with_stream_id(fields: Fields, id: bytes) -> Fields:
    """The fields of a response, with the ID of its stream, which pages may read.

    An ID of a proxy further back would mean nothing here: it is replaced.
    """
    fields = [*without(fields, frozenset({b"stream-id"})), (STREAM_ID, id)]
    return with_exposed(fields, STREAM_ID)


def with_exposed(fields: Fields, name: bytes) -> Fields:
    """The fields of a response, in which pages of other origins may read this one.

    Where they may read the response at all.
    """
    if not combined(fields, ALLOW_ORIGIN):
        return fields
    return with_listed(fields, b"Access-Control-Expose-Headers", name)


def allow_last_event_id(request: RequestHead, response: ResponseHead) -> ResponseHead:
    """The answer to a preflight, which allows Last-Event-ID if it allows the origin.

    The same head if there is nothing to change. A native EventSource sends the field
    without a preflight, all other code of a page needs one.
    """
    if not is_preflight(request) or not 200 <= response.status <= 299:
        return response
    asked = request.members(b"access-control-request-headers")
    if (asked and b"last-event-id" not in asked) or not allows(response, request):
        return response
    name = b"Access-Control-Allow-Headers"
    fields = with_listed(response.fields, name, LAST_EVENT_ID)
    if fields is response.fields:
        return response
    return ResponseHead(response.status, response.reason, response.minor, fields)


def is_preflight(head: RequestHead) -> bool:
    """Does a browser ask whether a page may send a request?"""
    return (
        head.method == b"OPTIONS"
        and b"origin" in head.index
        and b"access-control-request-method" in head.index
    )


def allows(response: ResponseHead, request: RequestHead) -> bool:
    """May pages of the request's origin read a response? Compared byte for byte."""
    allowed = response.get(ALLOW_ORIGIN)
    return allowed is not None and allowed in (b"*", request.get(b"origin"))


def cors_of(stored: ResponseHead, request: RequestHead) -> Fields:
    """The CORS fields for a response at the address of a kept stream.

    Those of the `stored` response, if it allows the origin of the `request`.
    """
    if not allows(stored, request):
        return []
    return [field for field in stored.fields if field[0].lower() in CORS]


def preflight_fields(
    stored: ResponseHead, request: RequestHead, bind: Sequence[str] = ()
) -> Fields | None:
    """The CORS fields that answer a preflight at the address of a kept stream.

    None: the `stored` response does not allow the origin. Of the fields that the page
    wants to send, those are allowed that have to be the same on resumption (`bind`).
    """
    if not allows(stored, request):
        return None
    asked = request.members(b"access-control-request-headers")
    bound = [name.encode("utf-8") for name in bind]
    names = [LAST_EVENT_ID, *(name for name in bound if name.lower() in asked)]
    fields = [each for each in stored.fields if each[0].lower() in OF_PREFLIGHTS]
    fields.append((b"Access-Control-Allow-Methods", METHODS))
    fields.append((b"Access-Control-Allow-Headers", b", ".join(names)))
    return fields


def with_listed(fields: Fields, name: bytes, member: bytes) -> Fields:
    """Name a field in a list of names that CORS knows; the same fields if it is there.

    `*` names all; but for a request with credentials it is nothing but a name.
    """
    known = [
        each.strip(b" \t").lower()
        for each in (combined(fields, name.lower()) or b"").split(b",")
    ]
    if member.lower() in known:
        return fields
    if b"*" in known and combined(fields, ALLOW_CREDENTIALS) != b"true":
        return fields
    places = [at for at, field in enumerate(fields) if field[0].lower() == name.lower()]
    if not places:
        return [*fields, (name, member)]
    fields = list(fields)
    other, value = fields[places[-1]]
    fields[places[-1]] = (other, value + b", " + member if value else member)
    return fields


def combined(fields: Fields, name: bytes) -> bytes | None:
    """The combined value of a field; `name` in lower case (RFC 9110 §5.3)."""
    values = [value for other, value in fields if other.lower() == name]
    return b", ".join(values) if values else None
