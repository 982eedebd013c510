"""What one worker tells another: read as it was written, and nothing else is."""

from __future__ import annotations

import pytest

from proxy.errors import (
    DurationExceeded,
    InternalError,
    ProxyError,
    UnexpectedResponse,
    UpstreamTruncated,
)
from proxy.http1.framing import LengthBody
from proxy.http1.head import HTTP2, RequestHead, ResponseHead, parse_request_head
from proxy.policy.handed_message import (
    FIELD_BYTES,
    NAME,
    Handed,
    PeerReport,
    handed_request,
    kinds,
    read_request,
    read_response,
    read_trailers,
    told_field,
)

HEAD = RequestHead(b"GET", b"/x", 1, [(b"Host", b"a"), (b"X-A", b"1")])


@pytest.mark.parametrize(
    "handed",
    [
        Handed(b"http", b"127.0.0.1", 1, last=False),
        Handed(b"https", b"fe80::1%eth0", 0, last=True),
        Handed(b"http", b"unix", 1, last=True),
        Handed(b"http", b"127.0.0.1", 7, last=False),
        Handed(b"https", b"127.0.0.1", HTTP2, last=False),
    ],
    ids=["plain", "all other", "a socket", "HTTP/1.7", "HTTP/2"],
)
def test_a_request_is_read_as_it_was_handed_over(handed: Handed) -> None:
    text = handed_request(HEAD, LengthBody(0), handed).text
    assert len(text.splitlines()[1]) < FIELD_BYTES
    found = read_request(parse_request_head(text))
    assert found is not None
    read, head = found
    assert read == handed
    assert (head.method, head.target, head.fields) == (b"GET", b"/x", HEAD.fields)
    assert head.minor == handed.minor


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"Host", b"a")],
        [(b"Host", b"a"), (NAME, b"http 1.2.3.4 1 0")],
        [(NAME.lower(), b"http 1.2.3.4 1 0")],
        [(NAME, b"http 1.2.3.4 1 0 ")],
        [(NAME, b"http 1.2.3.4 11 0")],
        [(NAME, b"ftp 1.2.3.4 1 0")],
        [(NAME, b"http  1 0")],
        [(NAME, b"http a b 1 0")],
        [(NAME, b"http %b 1 0" % (b"a" * 257))],
        [(NAME, b"")],
    ],
)
def test_what_was_not_handed_over_is_not_taken_for_it(
    fields: list[tuple[bytes, bytes]],
) -> None:
    assert read_request(RequestHead(b"GET", b"/", 1, fields)) is None


@pytest.mark.parametrize(
    "told",
    [
        PeerReport(None, None, None),
        PeerReport("http://a:1", "/é b", None),
        PeerReport("unix:/a b", "/", UpstreamTruncated("5 of 9 bytes\r\nX: é"), False),
        PeerReport(None, "/", DurationExceeded(""), True),
    ],
)
def test_a_report_is_read_as_it_was_told(told: PeerReport) -> None:
    name, value = told_field(told)
    assert b"\r" not in value
    assert b"\n" not in value
    value.decode("ascii")
    own = ResponseHead(200, b"OK", 1, [(b"A", b"b")])
    marked = ResponseHead(200, b"OK", 1, [(name, value), *own.fields])
    found, head = read_response(marked)
    assert found is not None
    assert found[:2] == told[:2]
    assert found.whole == told.whole
    assert (type(found.error), str(found.error)) == (type(told.error), str(told.error))
    assert head.fields == own.fields
    assert read_response(own) == (None, own)
    assert read_trailers([(name, value)]) is not None
    assert read_trailers([(b"X", value)]) is None
    assert read_trailers([]) is None


# Other tests make more of them, which stay with those that made them.
KINDS = [
    each for each in kinds(ProxyError).values() if each.__module__ == "proxy.errors"
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_failure_can_be_told(kind: type[ProxyError]) -> None:
    error = kind.__new__(kind)
    error.args = ("why",)
    found = read_trailers([told_field(PeerReport(None, None, error))])
    assert found is not None
    assert type(found.error) is kind
    assert str(found.error) == "why"
    assert {InternalError, UnexpectedResponse} <= set(kinds(ProxyError).values())


def test_a_failure_that_is_not_known_is_one_of_the_proxy() -> None:
    found = read_trailers([(NAME, b"- / 0 Unknown what")])
    assert found is not None
    assert type(found.error) is ProxyError
