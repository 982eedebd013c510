"""Which fields of a response are put right for how it is delivered."""

from __future__ import annotations

import pytest

from proxy.http1.grammar import Fields
from proxy.policy.delivery import Delivery, adjust_fields
from tests.unit.http1.heads import response


def adjusted(delivery: Delivery, *lines: bytes) -> Fields:
    return adjust_fields(response(*lines).fields, delivery)


STREAM = Delivery(True, ())
DECODED = Delivery(True, ("gzip",))
NEXT_HOP = [(b"X-Accel-Buffering", b"no"), (b"Cache-Control", b"no-transform")]


def test_a_plain_response_keeps_every_field() -> None:
    lines = [
        b'ETag: "x"',
        b"Content-Length: 5",
        b"Content-Encoding: gzip",
        b"Vary: Accept-Encoding",
        b"X-Accel-Buffering: yes",
        b"Cache-Control: max-age=60",
        b"Accept-Ranges: bytes",
    ]
    fields = response(*lines).fields
    assert adjusted(Delivery(False, ()), *lines) == fields


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(None, b"no-transform", id="no Cache-Control"),
        pytest.param(b"no-cache", b"no-cache, no-transform", id="merged in"),
        pytest.param(b"No-Transform", b"No-Transform", id="there already"),
        pytest.param(b"", b"no-transform", id="empty"),
    ],
)
def test_a_stream_asks_the_next_hop_not_to_transform(
    line: bytes | None, field: bytes
) -> None:
    lines = [] if line is None else [b"cache-control: " + line]
    fields = adjusted(STREAM, *lines)
    assert [v for n, v in fields if n.lower() == b"cache-control"] == [field]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="the upstream said nothing"),
        pytest.param([b"X-Accel-Buffering: yes"], id="the opposite"),
        pytest.param([b"x-accel-buffering: no", b"X-ACCEL-Buffering: 1"], id="two"),
    ],
)
def test_a_stream_tells_nginx_not_to_buffer_once(lines: list[bytes]) -> None:
    assert adjusted(STREAM, b"A: 1", *lines) == [(b"A", b"1"), *NEXT_HOP]


def test_a_stream_that_is_not_decoded_keeps_what_is_true_of_its_bytes() -> None:
    lines = [b'ETag: "x"', b"Content-Encoding: gzip", b"Vary: Accept-Encoding"]
    assert adjusted(STREAM, *lines) == [*response(*lines).fields, *NEXT_HOP]


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Encoding: gzip",
        b"content-length: 5",
        b"Content-MD5: x",
        b"Content-Digest: sha-256=:x:",
        b"Repr-Digest: sha-256=:x:",
        b"Digest: md5=x",
        b"Accept-Ranges: bytes",
    ],
)
def test_what_was_true_of_the_coded_bytes_only_goes_with_them(line: bytes) -> None:
    assert adjusted(DECODED, b"A: 1", line, b"B: 2") == [
        (b"A", b"1"),
        (b"B", b"2"),
        *NEXT_HOP,
    ]


@pytest.mark.parametrize(
    ("value", "weak"),
    [(b'"x"', b'W/"x"'), (b'W/"x"', b'W/"x"'), (b'"W/"', b'W/"W/"')],
)
def test_a_strong_etag_becomes_weak(value: bytes, weak: bytes) -> None:
    """RFC 9110 §8.8.1: a strong one names exact bytes."""
    for name in (b"etag", b"ETag"):
        assert adjusted(DECODED, name + b": " + value)[0] == (name, weak)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"Accept-Encoding", []),
        (b"Origin, accept-encoding, Accept", [(b"Vary", b"Origin, Accept")]),
        (b"Origin", [(b"Vary", b"Origin")]),
        (b"*", [(b"Vary", b"*")]),
    ],
)
def test_a_decoded_body_does_not_vary_with_accept_encoding(
    value: bytes, left: Fields
) -> None:
    assert adjusted(DECODED, b"Vary: " + value) == [*left, *NEXT_HOP]


def test_cookies_stay_apart_and_in_order() -> None:
    lines = [b"Set-Cookie: a=1, b", b"X: y", b"set-cookie: c=2"]
    assert adjusted(DECODED, *lines)[:3] == response(*lines).fields
