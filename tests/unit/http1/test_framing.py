"""Where a body ends: every combination of what could say so (RFC 9112 §6)."""

from __future__ import annotations

import re
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    ClientError,
    MalformedRequest,
    MalformedResponse,
    TransferCodingNotSupported,
)
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import (
    Body,
    LengthBody,
    UntilCloseBody,
    check_begun,
    content_length,
    request_body,
    response_body,
)
from proxy.http1.head import parse_request_head, parse_response_head

LENGTHS = {
    b"0": 0,
    b"5": 5,
    b"007": 7,
    b"999999999999999999": 999999999999999999,
    b"5, 5": 5,
    b"5,5 ,\t5": 5,
}
# What `int` or a lenient parser would take.
ODD_LENGTHS = {
    b"": "empty",
    b"+5": "plus, aiohttp CVE-2023-47627",
    b"-5": "minus",
    b"5_0": "underscore, aiohttp CVE-2023-47627",
    b"0x5": "hex",
    b"5.0": "decimal",
    b"1e3": "exponent",
    b"5 5": "space inside",
    b"5, 6": "two that differ, RFC 9112 6.3",
    b"5,": "trailing comma",
    b",5": "leading comma",
    b"1000000000000000000": "19 digits, HAProxy CVE-2021-40346",
    b"5;a": "parameter",
    b'"5"': "quoted",
    b"\xd9\xa5": "digit of another script, aiohttp CVE-2025-69224",
}
UNKNOWN_CODINGS = [
    b"identity",
    b"gzip",
    b"GZIP, chunked",
    b"gzip,\tChunked",
    b"xchunked",
    b"chunkedx",
    b'a;b=c;d="e, chunked" , chunked',
    b"a;b=chunked",
]
CODINGS = [
    pytest.param(b"gzip, chunked;q=chunked", id="parameter of the last"),
    pytest.param(b"a b", id="two words"),
    pytest.param(b"gzip;q", id="parameter without a value"),
    pytest.param(b'gzip;q="a', id="unterminated quoted string"),
    pytest.param(b'"gzip"', id="quoted"),
    pytest.param(b"", id="empty"),
    pytest.param(b"chunked, gzip", id="chunked not last"),
    pytest.param(b"chunked, chunked", id="chunked twice"),
    pytest.param(b"chunked,", id="trailing comma"),
    pytest.param(b"chunked;a=b", id="parameter"),
    pytest.param(b'"chunked"', id="quoted"),
    pytest.param(b"chunked\xa0", id="white space of Unicode"),
]


def of_request(*lines: bytes, method: bytes = b"POST", minor: int = 1) -> Body:
    fields = b"".join(line + b"\r\n" for line in lines)
    start = b"%b / HTTP/1.%d\r\nHost: a\r\n" % (method, minor)
    return request_body(parse_request_head(start + fields + b"\r\n"))


def of_response(
    *lines: bytes, status: int = 200, method: bytes = b"GET", minor: int = 1
) -> Body:
    fields = b"".join(line + b"\r\n" for line in lines)
    start = b"HTTP/1.%d %d x\r\n" % (minor, status)
    return response_body(parse_response_head(start + fields + b"\r\n"), method)


def remaining(body: Body) -> int | str:
    """What a body expects: so many bytes, chunks, or the close."""
    if isinstance(body, LengthBody):
        return body.remaining
    return "chunks" if isinstance(body, ChunkedBody) else "close"


# -- Content-Length


@pytest.mark.parametrize(("value", "length"), LENGTHS.items())
def test_a_length_is_a_decimal_number(value: bytes, length: int) -> None:
    assert content_length(value) == length
    assert remaining(of_request(b"Content-Length: " + value)) == length
    assert remaining(of_response(b"Content-Length: " + value)) == length


@pytest.mark.parametrize("value", ODD_LENGTHS, ids=ODD_LENGTHS.values())
def test_an_odd_length_is_refused_both_ways(value: bytes) -> None:
    line = b"Content-Length: " + value
    with pytest.raises(MalformedRequest, match=r"^invalid Content-Length '"):
        of_request(line)
    with pytest.raises(MalformedResponse, match=r"^invalid Content-Length '"):
        of_response(line)


def test_an_odd_length_is_refused_even_where_no_body_follows() -> None:
    for status, method in ((200, b"HEAD"), (204, b"GET"), (304, b"GET")):
        with pytest.raises(MalformedResponse, match="Content-Length"):
            of_response(b"Content-Length: 5, 6", status=status, method=method)


@pytest.mark.parametrize("second", [b"6", b"", b"+5"])
def test_repeated_lengths_that_differ_are_refused_both_ways(second: bytes) -> None:
    """nginx takes the first, others the last (nginx `proxy_duplicate_headers.t`)."""
    lines = (b"Content-Length: 5", b"content-length: " + second)
    with pytest.raises(MalformedRequest, match="Content-Length"):
        of_request(*lines)
    with pytest.raises(MalformedResponse, match="Content-Length"):
        of_response(*lines)


# -- Transfer-Encoding


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED \t"])
def test_chunked_alone_is_taken_both_ways(value: bytes) -> None:
    """RFC 9112 §7: names of codings are case-insensitive."""
    assert remaining(of_request(b"Transfer-Encoding: " + value)) == "chunks"
    assert remaining(of_response(b"Transfer-Encoding: " + value)) == "chunks"


@pytest.mark.parametrize("value", CODINGS)
def test_any_other_transfer_coding_is_refused_both_ways(value: bytes) -> None:
    line = b"Transfer-Encoding: " + value
    with pytest.raises(MalformedRequest, match=r"^invalid Transfer-Encoding '"):
        of_request(line)
    with pytest.raises(MalformedResponse, match=r"^invalid Transfer-Encoding '"):
        of_response(line)


@pytest.mark.parametrize("value", UNKNOWN_CODINGS)
def test_an_unknown_transfer_coding_of_a_request_is_not_implemented(
    value: bytes,
) -> None:
    """RFC 9112 §6.1. An upstream's is as bad as any other that is not chunked."""
    line = b"Transfer-Encoding: " + value
    with pytest.raises(TransferCodingNotSupported, match=r"^unknown Transfer-Enc") as e:
        of_request(line)
    assert e.value.status == 501
    with pytest.raises(MalformedResponse, match=r"^invalid Transfer-Encoding '"):
        of_response(line)


def test_chunked_in_two_fields_is_chunked_twice() -> None:
    lines = (b"Transfer-Encoding: chunked", b"transfer-encoding: chunked")
    with pytest.raises(MalformedRequest, match="invalid Transfer-Encoding"):
        of_request(*lines)
    with pytest.raises(MalformedResponse, match="invalid Transfer-Encoding"):
        of_response(*lines)


# -- every combination

TRANSFER = (None, b"chunked", b"gzip, chunked", b"identity")
LENGTH = (None, b"0", b"5", b"5, 5", b"+5")
METHODS = (b"GET", b"HEAD", b"POST", b"OPTIONS", b"PROPFIND")
BOTH = "both Transfer-Encoding and Content-Length"


def lines(coding: bytes | None, length: bytes | None) -> list[bytes]:
    given = {b"Transfer-Encoding: ": coding, b"Content-Length: ": length}
    return [name + value for name, value in given.items() if value is not None]


def fault(
    coding: bytes | None, length: bytes | None, minor: int, kind: str = "invalid"
) -> str | None:
    """The words of the refusal, if this framing is refused."""
    if coding is not None and length is not None:
        return BOTH
    if coding is not None and minor == 0:
        return "Transfer-Encoding in an HTTP/1.0 message"
    if coding is not None and coding != b"chunked":
        return f"{kind} Transfer-Encoding"
    return "invalid Content-Length" if length == b"+5" else None


SIZES = {None: None, b"0": 0, b"5": 5, b"5, 5": 5}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("minor", [0, 1])
def test_every_framing_of_a_request(method: bytes, minor: int) -> None:
    """RFC 9112 §6.3: the method says nothing about a request's body."""
    for coding, length in product(TRANSFER, LENGTH):
        words = fault(coding, length, minor, "unknown")
        if words is None:
            body = of_request(*lines(coding, length), method=method, minor=minor)
            assert remaining(body) == ("chunks" if coding else SIZES[length] or 0)
        else:
            with pytest.raises(ClientError, match=re.escape(words)):
                of_request(*lines(coding, length), method=method, minor=minor)


@pytest.mark.parametrize("status", [200, 201, 206, 301, 304, 404, 500, 999])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("minor", [0, 1])
def test_every_framing_of_a_response(status: int, method: bytes, minor: int) -> None:
    """RFC 9112 §6.3; HEAD and 304 have no body, whatever their fields say."""
    for coding, length in product(TRANSFER, LENGTH):
        given_lines = lines(coding, length)
        words = fault(coding, length, minor)
        if words is not None:
            with pytest.raises(MalformedResponse, match=re.escape(words)):
                of_response(*given_lines, status=status, method=method, minor=minor)
            continue
        body = of_response(*given_lines, status=status, method=method, minor=minor)
        if method == b"HEAD" or status == 304:
            assert remaining(body) == 0
            assert body.complete
        elif coding:
            assert remaining(body) == "chunks"
        else:
            size = SIZES[length]
            assert remaining(body) == ("close" if size is None else size)


@pytest.mark.parametrize("status", [100, 101, 103, 204])
@pytest.mark.parametrize("coding", TRANSFER)
def test_a_status_without_a_body_has_none(status: int, coding: bytes | None) -> None:
    """RFC 9112 §6.3 rule 1; real servers send a Transfer-Encoding with 204."""
    for length in (None, b"0", b"5"):
        body = of_response(*lines(coding, length), status=status)
        assert remaining(body) == 0
        assert body.complete


# -- what is here already of a body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"5\r\nhe", id="incomplete"),
        pytest.param(b"0\r\n\r\nGET", id="complete, and more"),
    ],
)
def test_a_body_that_may_still_be_good_is_not_refused(data: bytes) -> None:
    body = ChunkedBody()
    check_begun(body, data)
    assert body.feed(b"2\r\nab") == b"ab"  # judging it has used up nothing


def test_a_body_that_is_broken_already_is_refused_before_it_is_forwarded() -> None:
    with pytest.raises(MalformedRequest, match="malformed request body: invalid chunk"):
        check_begun(ChunkedBody(), b"1\r\na\r\nzz\r\n")


def test_only_chunks_can_be_broken() -> None:
    for body in (LengthBody(5), LengthBody(0), UntilCloseBody()):
        check_begun(body, b"zz\r\n")
    with pytest.raises(MalformedRequest):
        check_begun(ChunkedBody(), b"zz\r\n")


# -- the readers

PAYLOAD = b"0123456789"


@given(st.sets(st.integers(1, 13)), st.integers(0, 10))
def test_a_body_of_known_length_ends_there_however_it_is_cut(
    places: set[int], length: int
) -> None:
    wire = PAYLOAD + b"NEXT"
    bounds = [0, *sorted(places), len(wire)]
    body = LengthBody(length)
    payload = rest = b""
    for start, stop in pairwise(bounds):
        if body.complete:
            rest += wire[start:stop]
        else:
            payload += body.feed(wire[start:stop])
            rest += body.excess
    assert body.complete
    assert body.error is None
    assert (payload, rest) == (PAYLOAD[:length], wire[length:])


def test_a_body_of_known_length_says_what_is_missing() -> None:
    body = LengthBody(5)
    assert body.feed(b"ab") == b"ab"
    assert not body.complete
    assert body.end() == "3 bytes of Content-Length are missing"
    assert body.feed(b"cde") == b"cde"
    assert body.end() is None
    assert (body.remaining, body.complete) == (0, True)


def test_a_body_of_length_0_is_complete_at_once() -> None:
    assert LengthBody(0).complete
    assert LengthBody(0).end() is None


def test_a_body_until_the_close_is_complete_by_the_close() -> None:
    body = UntilCloseBody()
    assert body.feed(b"0\r\n\r\n") == b"0\r\n\r\n"
    before = body.complete
    assert body.end() is None
    assert (before, body.complete) == (False, True)
    assert (body.error, body.excess, body.trailers) == (None, b"", [])
