"""A header block becomes a request, under limits; the next can still be read."""

from __future__ import annotations

import hpack
import pytest

from proxy.http1.head import HTTP2
from proxy.http2.faults import StreamFault
from proxy.http2.field_section import FieldReader

GET = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"a.example"),
    (b":path", b"/x?y"),
]


def test_a_request_becomes_a_head() -> None:
    block = hpack.Encoder().encode([*GET, (b"accept", b"*/*")])
    request = FieldReader(65536).request(block, complete=True)
    assert request.error is None
    assert request.head is not None
    assert (request.head.method, request.head.target) == (b"GET", b"/x?y")
    assert (request.head.minor, request.head.version) == (HTTP2, "2.0")
    assert request.head.fields == [(b"Host", b"a.example"), (b"accept", b"*/*")]


def test_the_same_fields_again_are_the_same_object() -> None:
    encoder, reader = hpack.Encoder(), FieldReader(65536)
    first, second = (
        reader.request(
            encoder.encode([*GET[:3], (b":path", path), (b"accept", b"*/*")]),
            complete=True,
        ).head
        for path in (b"/1", b"/2")
    )
    assert first is not None
    assert second is not None
    assert second.fields is first.fields
    assert second.target == b"/2"


def test_the_block_behind_a_malformed_one_is_read() -> None:
    encoder, reader = hpack.Encoder(), FieldReader(65536)
    with pytest.raises(StreamFault):
        reader.request(encoder.encode([*GET, (b"Upper", b"1")]), complete=True)
    request = reader.request(encoder.encode([*GET, (b"x", b"2")]), complete=True)
    assert request.head is not None
    assert request.head.get(b"x") == b"2"
