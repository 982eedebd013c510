"""Requests of HTTP/2 for tests, written as their fields."""

from __future__ import annotations

import hpack

from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.http2.field_section import FieldReader
from proxy.http2.request_fields import Request

METHOD, SCHEME = (b":method", b"GET"), (b":scheme", b"https")
AUTHORITY, PATH = (b":authority", b"a.example"), (b":path", b"/x?y")
GET: Fields = [METHOD, SCHEME, AUTHORITY, PATH]
CONNECT = (b":method", b"CONNECT")
WEBSOCKET: Fields = [CONNECT, (b":protocol", b"websocket"), SCHEME, AUTHORITY, PATH]


def changed(name: bytes, value: bytes | None, fields: Fields = GET) -> Fields:
    """The same with another value, or without that field."""
    if value is None:
        return [field for field in fields if field[0] != name]
    return [(known, value if known == name else old) for known, old in fields]


def block(fields: Fields) -> bytes:
    """A header block."""
    return bytes(hpack.Encoder().encode(fields))


def read(fields: Fields, *, complete: bool = True) -> Request:
    """The request of these fields."""
    return FieldReader(1 << 20).request(block(fields), complete=complete)


def head_of(fields: Fields, *, complete: bool = True) -> RequestHead:
    """Its head, where nothing is wrong with it."""
    request = read(fields, complete=complete)
    assert request.error is None
    assert request.head is not None
    return request.head
