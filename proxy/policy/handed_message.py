"""What one worker tells another of a request that it hands over, and is told back.

A request goes to the worker that has its stream as its client has sent it, and the
response comes back as the client gets it; before the other fields of each stands one
that only workers read. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from proxy.errors import ProxyError
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.http1.head_text import CHUNKED, head_bytes
from proxy.policy.request_plan import RequestPlan

NAME = b"Unbuffered-Worker"
FIELD_BYTES = 512  # of the field of a request, at most
# Of this one connection, or said anew for the next.
REPLACED = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
# What a client says of its connection alone; the rest of Connection names fields that
# go no further than to the worker that has the stream.
OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b"http2-settings"})
REQUEST = re.compile(
    rb"(https?) ([\x21-\x7e]{1,256}) ([0-9]|10) ([01])(?: ([\x21-\x7e]{1,128}))?"
)


class Handed(NamedTuple):
    """Of a request: how its client has come. `last`: it is handed on no further.

    `request_id`: empty, if requests have none.
    """

    scheme: bytes
    address: bytes
    minor: int  # of the version in which it came
    last: bool
    request_id: bytes = b""


class KeptPart(NamedTuple):
    """What a client gets of a kept stream: see `Visit`."""

    stream: str
    way: str
    begins: int
    kept: bool


class PeerReport(NamedTuple):
    """Of a response: where it comes from, and by what it failed, if it did.

    `whole`: it ends as one that is complete, whatever has failed. `part`: what the
    client gets of which kept stream.
    """

    upstream: str | None
    route: str | None
    error: ProxyError | None
    whole: bool = True
    part: KeptPart | None = None


# -- the request


def handed_request(head: RequestHead, body: Body, handed: Handed) -> RequestPlan:
    """A request for another worker."""
    value = b"%b %b %d %d" % (
        handed.scheme,
        handed.address,
        handed.minor,
        handed.last,
    )
    if handed.request_id:
        value += b" " + handed.request_id
    fields: Fields = [(NAME, value)]
    fields += [field for field in head.fields if field[0].lower() not in REPLACED]
    named = [each for each in head.members(b"connection") if each not in OPTIONS]
    if named:
        fields.append((b"Connection", b", ".join(named)))
    if not isinstance(body, LengthBody):
        fields.append(CHUNKED)
    elif b"content-length" in head.index:
        fields.append((b"Content-Length", b"%d" % body.remaining))
    return RequestPlan(head.method, head.target, head_bytes(b"", fields)[:-2])


def read_request(head: RequestHead) -> tuple[Handed, RequestHead] | None:
    """How a request has come, and the request; None: it was not handed over."""
    if not head.fields or head.fields[0][0] != NAME:
        return None
    found = REQUEST.fullmatch(head.fields[0][1])
    if found is None:
        return None
    scheme, address, minor, last, request_id = found.groups()
    handed = Handed(scheme, address, int(minor), last == b"1", request_id or b"")
    return handed, RequestHead(head.method, head.target, handed.minor, head.fields[1:])


# -- the response


def told_field(told: PeerReport) -> tuple[bytes, bytes]:
    """The field of a response, or of its trailers."""
    parts = [told.upstream or "", told.route or "", str(int(told.whole))]
    if told.error is not None:
        parts += [type(told.error).__name__, str(told.error)]
    elif told.part is not None:
        stream, way, begins, kept = told.part
        parts += ["", "", stream, way, str(begins), str(int(kept))]
    return NAME, " ".join(quote(each, safe="/:") or "-" for each in parts).encode()


def read_response(head: ResponseHead) -> tuple[PeerReport | None, ResponseHead]:
    """What was told of a response, and the response."""
    if not head.fields or head.fields[0][0] != NAME:
        return None, head
    return read_told(head.fields[0][1]), ResponseHead(
        head.status, head.reason, head.minor, head.fields[1:]
    )


def read_trailers(trailers: Fields) -> PeerReport | None:
    """What was told behind a response; None: nothing."""
    if trailers and trailers[0][0] == NAME:
        return read_told(trailers[0][1])
    return None


def read_told(value: bytes) -> PeerReport:
    """What another worker has told."""
    parts = [
        None if each == "-" else unquote(each)
        for each in value.decode("ascii", "replace").split(" ")
    ]
    parts += [None] * (9 - len(parts))
    upstream, route, whole, kind, text, stream, way, begins, kept = parts[:9]
    error = None if kind is None else failure(kind, text or "")
    part = None
    if stream is not None and begins is not None and begins.isdecimal():
        part = KeptPart(stream, way or "", int(begins), kept == "1")
    return PeerReport(upstream, route, error, whole == "1", part)


def failure(kind: str, text: str) -> ProxyError:
    """A failure of another worker, by the name of its class."""
    found = kinds(ProxyError).get(kind, ProxyError)
    error = found.__new__(found)
    error.args = (text,)
    return error


def kinds(kind: type[ProxyError]) -> dict[str, type[ProxyError]]:
    """All kinds of failures, by their names."""
    found = {kind.__name__: kind}
    for each in kind.__subclasses__():
        found |= kinds(each)
    return found
