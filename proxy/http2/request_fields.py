"""A request's fields as HTTP/2 has them, made a `RequestHead` (RFC 9113 §8.2, §8.3).

A head becomes HTTP/1.1 text on its way to the upstream. So a name, a value, a method or
a path that could mean more there than one field or one part of the request line is
refused here: that is request smuggling by downgrade. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.errors import MalformedRequest, ProtocolNotSupported, ProxyError
from proxy.http1.framing import LENGTH, Body, LengthBody, UntilCloseBody
from proxy.http1.grammar import TOKEN, Fields, Remembered, is_authority, shown
from proxy.http1.head import HTTP2, RequestHead
from proxy.http2.extended_connect import WEBSOCKET, upgrade_head
from proxy.http2.faults import StreamFault
from proxy.http2.frames import PROTOCOL_ERROR

# RFC 9113 §8.2.2. What HTTP/1.1 says of one connection has no place in HTTP/2.
CONNECTION_SPECIFIC = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    }
)
PSEUDO = (b":method", b":scheme", b":authority", b":path", b":protocol")
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
# A field value of HTTP/1.1 (RFC 9110 §5.5), and no blanks around it.
VALUE = re.compile(rb"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*+(?<![ \t])")
METHOD = re.compile(TOKEN + rb"++")
# origin-form, as in the request line of HTTP/1.1: no blank, no fragment.
PATH = re.compile(rb"/[\x21\x22\x24-\x7e\x80-\xff]*+")
SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+")
DEFAULT_PORTS = {b"https": b":443", b"http": b":80"}

ORDINARY, HOST, COOKIE, TE, LENGTHS, FORBIDDEN, INVALID = range(7)
SPECIAL = {b"host": HOST, b"cookie": COOKIE, b"te": TE, b"content-length": LENGTHS}


class Request(NamedTuple):
    """One request of HTTP/2.

    `protocol` is what an extended CONNECT asks for, if it is one. `error`: what the
    request is to be answered with, and nothing else is to be done with it.
    """

    head: RequestHead | None
    protocol: bytes = b""
    error: ProxyError | None = None


class AskedFor(NamedTuple):
    """The pseudo-header fields of a request; empty: not there."""

    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    protocol: bytes

    @property
    def opens_tunnel(self) -> bool:
        """Is it the CONNECT of RFC 9110 §9.3.6, to a host and a port?"""
        return self.method == b"CONNECT" and not self.protocol


def malformed(reason: str) -> StreamFault:
    """The fault of a malformed request (RFC 9113 §8.1.1)."""
    return StreamFault(PROTOCOL_ERROR, f"malformed request: {reason}")


# -- the request itself


def asked(fields: Fields) -> tuple[AskedFor, int]:
    """What a request asks for, and how many of its fields say so (§8.3.1).

    Raises:
        StreamFault.
    """
    known: dict[bytes, bytes] = {}
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in PSEUDO:
            raise malformed(f"unknown pseudo-header field {shown(name)}")
        if name in known:
            raise malformed(f"{name.decode()} comes twice")
        if not value:
            raise malformed(f"{name.decode()} is empty")
        known[name] = value
    found = AskedFor(*(known.get(name, b"") for name in PSEUDO))
    check_asked(found)
    return found, len(known)


def check_asked(found: AskedFor) -> None:
    """Each part alone, and which there have to be.

    Raises:
        StreamFault.
    """
    method, scheme, authority, path, protocol = found
    if METHOD.fullmatch(method) is None:
        raise malformed(f"invalid :method {shown(method)}")
    if protocol and (method != b"CONNECT" or METHOD.fullmatch(protocol) is None):
        raise malformed(f":protocol {shown(protocol)} with :method {shown(method)}")
    if authority and not is_authority(authority):
        raise malformed(f"invalid :authority {shown(authority)}")
    if found.opens_tunnel:
        if scheme or path or not authority:
            raise malformed("CONNECT has :authority, and neither :scheme nor :path")
        return
    if SCHEME.fullmatch(scheme) is None:
        raise malformed(f"invalid :scheme {shown(scheme)}")
    if path == b"*" and method == b"OPTIONS":
        return
    if PATH.fullmatch(path) is None:
        raise malformed(f"invalid :path {shown(path)}")


# -- the fields


def kind_of(name: bytes) -> int:
    """What a field of this name needs, besides a value without line ends."""
    if NAME.fullmatch(name) is None:
        return INVALID
    return FORBIDDEN if name in CONNECTION_SPECIFIC else SPECIAL.get(name, ORDINARY)


KINDS = Remembered(kind_of)


def check_field(name: bytes, value: bytes) -> int:
    """One field, of a head or a trailer section; its kind.

    Raises:
        StreamFault.
    """
    kind = KINDS[name]
    if kind == INVALID:
        raise malformed(name_fault(name))
    if VALUE.fullmatch(value) is None:
        raise malformed(f"invalid value {shown(value)} of field {shown(name)}")
    if kind == FORBIDDEN:
        raise malformed(f"{name.decode()} is a field of HTTP/1.1 (RFC 9113 §8.2.2)")
    if kind == TE and value.lower() != b"trailers":
        raise malformed(f"te is {shown(value)}: only trailers is allowed")
    return kind


def name_fault(name: bytes) -> str:
    """Say what is wrong with a name."""
    if name[:1] == b":":
        return f"pseudo-header field {shown(name)} in the wrong place"
    if NAME.fullmatch(name.lower()) is not None:
        return f"upper case in field name {shown(name)}"
    return f"invalid field name {shown(name)}"


def head_fields(fields: Fields, found: AskedFor) -> Fields:
    """The fields of the head: Host first, cookies in one field (§8.2.3).

    Raises:
        StreamFault.
    """
    host: bytes | None = None
    cookie = 0
    head: Fields = [(b"Host", found.authority)]
    lengths = 0
    crumbs: list[bytes] = []
    for field in fields:
        kind = check_field(field[0], field[1])
        if kind == HOST:
            if host is not None:
                raise malformed("host comes twice")
            host = field[1]
            continue
        if kind == COOKIE:
            crumbs.append(field[1])
            if len(crumbs) > 1:
                continue
            cookie = len(head)
        elif kind == LENGTHS:
            lengths += 1
            if lengths > 1 or LENGTH.fullmatch(field[1]) is None:
                raise malformed("content-length is invalid, or comes twice")
        head.append(field)
    if len(crumbs) > 1:
        head[cookie] = (b"cookie", b"; ".join(crumbs))
    head[0] = (b"Host", agreed_host(host, found))
    return head


def agreed_host(host: bytes | None, found: AskedFor) -> bytes:
    """The host that is asked for: :authority and Host name the same (§8.3.1).

    Raises:
        StreamFault.
    """
    authority = found.authority
    if host is None:
        if not authority:
            raise malformed("neither :authority nor host")
        return authority
    if not is_authority(host):
        raise malformed(f"invalid host {shown(host)}")
    scheme = found.scheme
    if authority and normal(authority, scheme) != normal(host, scheme):
        raise malformed(f":authority {shown(authority)}, but host {shown(host)}")
    return authority or host


def normal(authority: bytes, scheme: bytes) -> bytes:
    """An authority as it is compared (RFC 3986 §6.2.2.1, §6.2.3)."""
    port = DEFAULT_PORTS.get(scheme.lower(), b":")
    return authority.lower().removesuffix(port).removesuffix(b":")


# -- together


def request_of(found: AskedFor, fields: Fields) -> Request:
    """The request of these pseudo-header fields and fields.

    Raises:
        StreamFault.
    """
    if found.opens_tunnel:
        # Refused by what serves it, as the same in HTTP/1.1 is.
        return Request(
            RequestHead(b"CONNECT", found.authority, HTTP2, head_fields(fields, found))
        )
    head = RequestHead(found.method, found.path, HTTP2, head_fields(fields, found))
    if found.scheme.lower() not in DEFAULT_PORTS:
        error: ProxyError = MalformedRequest(
            f"invalid request: its :scheme {shown(found.scheme)} is neither http nor "
            "https"
        )
        return Request(head, error=error)
    if not found.protocol:
        return Request(head)
    if b"content-length" in head.index:
        raise malformed("content-length in an extended CONNECT, which has no content")
    if found.protocol.lower() != WEBSOCKET:
        error = ProtocolNotSupported(
            f"unknown :protocol {shown(found.protocol)}: only websocket is supported"
        )
        return Request(head, found.protocol, error)
    return Request(upgrade_head(head), WEBSOCKET)


def check_length(head: RequestHead, *, complete: bool) -> None:
    """What is known of the length of a request's content (§8.1.1).

    Raises:
        StreamFault.
    """
    if complete and b"content-length" in head.index:
        length = head.index[b"content-length"]
        if int(length) != 0:
            raise malformed(f"content-length {length.decode()}, but no content")


def request_content(head: RequestHead, *, complete: bool) -> Body:
    """How a request's content is framed; `complete`: its head was all there is.

    The end of a body of unknown length is told by END_STREAM.
    """
    if complete or b"upgrade" in head.index:
        return LengthBody(0)
    length = head.index.get(b"content-length")
    return UntilCloseBody() if length is None else LengthBody(int(length))


def trailer_fields(fields: Fields) -> Fields:
    """The fields behind a request's content (§8.1): none is a pseudo-header field.

    Raises:
        StreamFault.
    """
    for name, value in fields:
        check_field(name, value)
    return fields
