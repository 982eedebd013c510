"""The delivery decision: what becomes of a response, told from its head alone.

Is it a stream, which content codings come off, which fields are put right?
The request's Accept says nothing about it: an LLM client that POSTs with
`Accept: */*` reads a stream all the same. The relay does not look at any of
this; it writes every piece at once, stream or not.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from proxy.config.route import Decode
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields
from proxy.http1.head import Head, RequestHead, ResponseHead
from proxy.policy.header_fields import merge_member, remove_member, without

EVENT_STREAM = b"text/event-stream"
LINE_TYPES = frozenset(
    {
        b"application/x-ndjson",
        b"application/ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
        b"application/stream+json",
    }
)
STREAM_TYPES = LINE_TYPES | {EVENT_STREAM, b"application/json-seq"}
CODINGS = {
    b"gzip": "gzip",
    b"x-gzip": "gzip",  # RFC 9110 §8.4.1.3: equivalent
    b"deflate": "deflate",
    b"br": "br",
    b"zstd": "zstd",
}
# What a stream is never sent as: the coding, where there is one, belongs to the file
# (Apache labels a .tar.gz as application/x-tar, coded in x-gzip), and its reader
# compares size and checksum.
COMPRESSED_TYPES = frozenset(
    {
        b"application/gzip",
        b"application/java-archive",
        b"application/vnd.android.package-archive",
        b"application/vnd.debian.binary-package",
        b"application/vnd.ms-cab-compressed",
        b"application/vnd.rar",
        b"application/x-7z-compressed",
        b"application/x-brotli",
        b"application/x-bzip",
        b"application/x-bzip2",
        b"application/x-compress",
        b"application/x-compressed",
        b"application/x-compressed-tar",
        b"application/x-cpio",
        b"application/x-debian-package",
        b"application/x-gtar",
        b"application/x-gunzip",
        b"application/x-gzip",
        b"application/x-lz4",
        b"application/x-lzip",
        b"application/x-lzma",
        b"application/x-rar-compressed",
        b"application/x-redhat-package-manager",
        b"application/x-rpm",
        b"application/x-tar",
        b"application/x-tgz",
        b"application/x-xz",
        b"application/x-zip-compressed",
        b"application/x-zstd",
        b"application/zip",
        b"application/zstd",
    }
)
COMPRESSED_SUFFIXES = (b"+gzip", b"+zip", b"+zstd")  # RFC 6839 §3.6, RFC 8878 §7.3
REFUSED = re.compile(rb"q=0(?:\.0*)?")  # RFC 9110 §12.4.2: not acceptable
# What the path of a request for a stream of Gemini's API ends with, as its clients send
# it. Without the parameter it asks for a list in JSON.
GEMINI_STREAM = tuple(
    colon + b"streamGenerateContent" for colon in (b":", b"%3A", b"%3a")
)
GEMINI_EVENTS = b"alt=sse"
MAX_CODINGS = 4  # stacked; nobody sends more than two in earnest

# Of the exact bytes of a body (RFC 9530 §2, RFC 1864), or of its representation.
DIGESTS = frozenset({b"content-md5", b"content-digest", b"repr-digest", b"digest"})
# True of the compressed bytes only, so false once they are decoded: lengths,
# digests (RFC 9530 §2) and the promise to serve ranges of them.
OF_THE_CODED_BYTES = frozenset(
    {
        b"content-encoding",
        b"content-length",
        b"accept-ranges",
        *DIGESTS,
    }
)


class Format(Enum):
    """Of what a stream is made that a client can read."""

    EVENTS = 1
    LINES = 2  # NDJSON


EVENTS, LINES = Format


class Delivery(NamedTuple):
    """`stream`: the next hop is told not to hold it.

    `codings`: what to decode, outermost first; empty: bytes pass as they are.
    `format`: what the client gets, if that is known and not coded.
    """

    stream: bool
    codings: tuple[str, ...]
    format: Format | None = None


def decide(head: ResponseHead, body: Body, decode: Decode) -> Delivery:
    """Decide the delivery of one response; `body` is how it is framed."""
    kind = media_type(head)
    if decode == "streams" and not may_hide_stream(head, body, kind):
        codings: tuple[str, ...] = ()
    else:
        codings = codings_to_decode(head, body, decode)
    if kind in STREAM_TYPES:
        readable = bool(codings) or not is_coded(head)
        return Delivery(True, codings, format_of(kind) if readable else None)
    return Delivery(not isinstance(body, LengthBody) or bool(codings), codings)


def format_of(kind: bytes) -> Format | None:
    """Of what a stream of this media type is made."""
    if kind == EVENT_STREAM:
        return EVENTS
    return LINES if kind in LINE_TYPES else None


def reconnects(head: RequestHead) -> bool:
    """Does the client connect again when its event stream ends cleanly?

    An EventSource does: it sends GET, and its Accept names the type (WHATWG HTML
    §9.2.3). Any other client, such as one that POSTs to an LLM, takes a clean end
    for the end of the answer.
    """
    return head.method == b"GET" and accepts_events(head)


def may_be_event_source(head: RequestHead) -> bool:
    """Does the client look like an EventSource, for which 204 is the end?

    A browser sends no `Cache-Control: no-store`: an EventSource, which bypasses caches,
    has `no-cache` (WHATWG HTML §9.2.3, Fetch §4.5). httpx-sse sends it, and takes 204
    for a fault.
    """
    return reconnects(head) and b"no-store" not in head.members(b"cache-control")


def accepts_events(head: RequestHead) -> bool:
    """Does the request's Accept name the type of event streams (RFC 9110 §12.5.1)?"""
    if b"accept" not in head.index:
        return False
    for member in head.members(b"accept"):
        kind, *parameters = (part.strip(b" \t") for part in member.split(b";"))
        if kind == EVENT_STREAM:
            return not any(map(REFUSED.fullmatch, parameters))
    return False


def accepts_only_streams(head: RequestHead) -> bool:
    """Can nothing but a stream be the response that the client asks for?

    What an EventSource sends. A client of MCP also accepts JSON, and gets either.
    """
    path, _, query = head.target.partition(b"?")
    if path.endswith(GEMINI_STREAM) and GEMINI_EVENTS in query.split(b"&"):
        return True
    if b"accept" not in head.index:
        return False
    kinds = [
        kind
        for kind, *parameters in (
            [part.strip(b" \t") for part in member.split(b";")]
            for member in head.members(b"accept")
        )
        if not any(map(REFUSED.fullmatch, parameters))
    ]
    return bool(kinds) and STREAM_TYPES.issuperset(kinds)


def is_stream_type(head: ResponseHead) -> bool:
    """Is a response a stream by its type?"""
    return media_type(head) in STREAM_TYPES


def may_ask_for_stream(head: RequestHead) -> bool:
    """May the body say that a stream is wanted, as `"stream": true`?

    The clients of OpenAI and Anthropic say it there alone: their Accept is
    `application/json`.
    """
    return (
        head.method == b"POST"
        and media_type(head) == b"application/json"
        and not is_coded(head)
    )


def calls_json_rpc(head: RequestHead) -> bool:
    """May a request be one of JSON-RPC whose response is an event stream, as of MCP?

    MCP's clients have to name both types (revision 2025-03-26 and later).
    """
    return (
        may_ask_for_stream(head)
        and accepts_events(head)
        and b"application/json" in (head.get(b"accept") or b"").lower()
    )


def asks_for_events(head: RequestHead) -> bool:
    """Does a request's head say that it asks for an event stream?

    By its Accept, or in its target, as clients of Gemini's API do.
    """
    if accepts_events(head):
        return True
    path, _, query = head.target.partition(b"?")
    return path.endswith(GEMINI_STREAM) and GEMINI_EVENTS in query.split(b"&")


def skips_comments(head: RequestHead) -> bool:
    """Does the client skip the comments of an event stream (WHATWG HTML §9.2.6)?

    Clients of Gemini's API do not: google-genai for Python fails on a line that is not
    data, @google/genai drops the event behind it. Both skip blank lines.
    """
    return not head.target.partition(b"?")[0].endswith(GEMINI_STREAM)


def has_digest(head: ResponseHead) -> bool:
    """Does the upstream give a digest of the body, before or behind it?

    A client that checks it would take a comment of ours for a fault.
    """
    promised = head.members(b"trailer") if b"trailer" in head.index else ()
    return not DIGESTS.isdisjoint(head.index) or not DIGESTS.isdisjoint(promised)


def is_coded(head: Head) -> bool:
    """Are the bytes of the body those of a content coding?"""
    return any(member != b"identity" for member in head.members(b"content-encoding"))


def may_hide_stream(head: ResponseHead, body: Body, kind: bytes) -> bool:
    """Can events wait in these bytes, if they are compressed?

    Not where the length is known, and not in a file: who reads a file may compare
    its checksum, and may ask for the rest of it by Range. To that the upstream
    answers with coded bytes (206), which nobody can decode alone.
    """
    if isinstance(body, LengthBody):
        return False
    if kind in STREAM_TYPES:
        return True
    if kind in COMPRESSED_TYPES or kind.endswith(COMPRESSED_SUFFIXES):
        return False
    return not set(head.members(b"accept-ranges")) - {b"none"}


def media_type(head: Head) -> bytes:
    """type/subtype in lower case, without parameters (RFC 9110 §8.3.1)."""
    value = head.get(b"content-type") or b""
    return value.partition(b";")[0].strip(b" \t").lower()


def codings_to_decode(
    head: ResponseHead, body: Body, decode: Decode
) -> tuple[str, ...]:
    """The codings that come off, outermost first; all of them or none.

    206 is a part of the coded bytes and cannot be decoded alone; HEAD, 204
    and 304 have no body, and 304 speaks of what the client has stored.
    """
    if b"content-encoding" not in head.index:
        return ()
    members = [m for m in head.members(b"content-encoding") if m != b"identity"]
    if not members or decode == "never" or len(members) > MAX_CODINGS:
        return ()
    if body.complete or head.status == 206:
        return ()
    if decode != "always" and b"no-transform" in head.members(b"cache-control"):
        return ()
    names = [CODINGS.get(member) for member in members]
    known = [name for name in names if name is not None]
    return tuple(reversed(known)) if len(known) == len(names) else ()


def adjust_fields(fields: Fields, delivery: Delivery) -> Fields:
    """Put the fields of a response right for how it is delivered."""
    if delivery.codings:
        fields = [weakened(field) for field in without(fields, OF_THE_CODED_BYTES)]
        # Every client now gets the same bytes, whatever it accepts.
        fields = remove_member(fields, b"Vary", b"accept-encoding")
    if delivery.stream:
        # nginx reads the one, compressing dev servers and CDNs the other.
        fields = without(fields, frozenset({b"x-accel-buffering"}))
        fields.append((b"X-Accel-Buffering", b"no"))
        fields = merge_member(fields, b"Cache-Control", b"no-transform")
    return fields


def weakened(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A strong ETag names exact bytes; decoded, they differ (RFC 9110 §8.8.1)."""
    name, value = field
    if name.lower() == b"etag" and not value.startswith(b"W/"):
        return (name, b"W/" + value)
    return field
