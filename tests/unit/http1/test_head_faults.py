"""Heads that are refused, both ways, each with the words that name the fault."""

from __future__ import annotations

import re

import pytest

from proxy.errors import MalformedRequest, MalformedResponse, VersionNotSupported
from proxy.http1.grammar import parse_fields
from proxy.http1.head import parse_request_head, parse_response_head
from tests.unit.http1.heads import request_bytes, response_bytes

# -- refused field lines, both ways

FIELD_FAULTS = [
    pytest.param(b"A: b\rC: d", "a CR without LF at byte", id="bare CR"),
    pytest.param(b"A: b\r", "a CR without LF at byte", id="CR before CRLF"),
    pytest.param(b"A: b\nC: d", "an LF without CR at byte", id="bare LF"),
    pytest.param(b"A: b\n", "an LF without CR at byte", id="LF before CRLF"),
    pytest.param(b"A: b\0", "control byte 0x00 at byte", id="NUL in a value"),
    pytest.param(b"A\0: b", "control byte 0x00 at byte", id="NUL in a name"),
    pytest.param(b"A: \x7f", "control byte 0x7f at byte", id="DEL"),
    pytest.param(b"A: \x0b", "control byte 0x0b at byte", id="vertical tab"),
    pytest.param(b" A: b", "obsolete line folding", id="space first, RFC 9112 2.2"),
    pytest.param(b"\tA: b", "obsolete line folding", id="tab first"),
    pytest.param(b"A: b\r\n c", "obsolete line folding", id="folding, RFC 9112 5.2"),
    pytest.param(b"A : b", "whitespace before the colon of field 'A'", id="A :"),
    pytest.param(b"A\t: b", "whitespace before the colon of field 'A'", id="A\\t:"),
    pytest.param(b"A", "field line without a colon: 'A'", id="no colon"),
    pytest.param(b": b", "invalid field name ''", id="empty name"),
    pytest.param(b"A b: c", "invalid field name 'A b'", id="space in a name"),
    pytest.param(b"A(: c", "invalid field name 'A('", id="delimiter in a name"),
    pytest.param(b"\xc4: c", r"invalid field name '\\xc4'", id="obs-text in a name"),
    pytest.param(
        b"Good: a\r\nBad\r\nWorse : b", "without a colon: 'Bad'", id="first named"
    ),
]


@pytest.mark.parametrize(("lines", "words"), FIELD_FAULTS)
def test_a_malformed_field_of_a_request_is_refused_and_named(
    lines: bytes, words: str
) -> None:
    """A request that two hops read differently is request smuggling."""
    with pytest.raises(MalformedRequest, match=re.escape(words)) as caught:
        parse_request_head(request_bytes(b"Host: a", lines))
    assert str(caught.value).startswith("malformed request head: ")


@pytest.mark.parametrize(("lines", "words"), FIELD_FAULTS)
def test_a_malformed_field_of_a_response_is_refused_and_named(
    lines: bytes, words: str
) -> None:
    with pytest.raises(MalformedResponse, match=re.escape(words)) as caught:
        parse_response_head(response_bytes(b"Server: a", lines))
    assert str(caught.value).startswith("malformed response head: ")


def test_a_stray_byte_is_counted_from_the_start_of_the_head() -> None:
    """The same number as where the head is still incomplete."""
    with pytest.raises(MalformedRequest, match=r"0x00 at byte 19$"):
        parse_request_head(b"GET / HTTP/1.1\r\nA: \0\r\n\r\n")
    with pytest.raises(MalformedResponse, match=r"0x00 at byte 20$"):
        parse_response_head(b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        pytest.param(
            b"A: b", "the last field line does not end with CRLF", id="no CRLF"
        ),
        pytest.param(b"A: b\r\n\r\n", "without a colon: ''", id="empty line"),
    ],
)
def test_a_field_section_is_whole_lines(section: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_fields(section)


# -- refused first lines


@pytest.mark.parametrize(
    ("start", "words"),
    [
        pytest.param(b"", "expected method, target and version: ''", id="empty"),
        pytest.param(b"GET /", "expected method, target and version", id="HTTP/0.9"),
        pytest.param(b"GET  / HTTP/1.1", "expected method, target", id="two spaces"),
        pytest.param(b"GET  HTTP/1.1", "expected method, target", id="no target"),
        pytest.param(b" GET / HTTP/1.1", "expected method", id="leading space"),
        pytest.param(b"GET / HTTP/1.1 ", "expected method", id="trailing space"),
        pytest.param(b"GET /a b HTTP/1.1", "expected method", id="space in target"),
        pytest.param(b"GET\t/\tHTTP/1.1", "expected method", id="tabs for spaces"),
        pytest.param(b"GET /\t HTTP/1.1", r"a tab in the request target", id="tab"),
        pytest.param(b"G(T / HTTP/1.1", "invalid method 'G(T'", id="delimiter"),
        pytest.param(b"G\xcbT / HTTP/1.1", r"invalid method 'G\\xcbT'", id="obs-text"),
        pytest.param(b"GET /#a HTTP/1.1", "a fragment (#)", id="fragment"),
        pytest.param(
            b"GET /a#/../b HTTP/1.1", "a fragment (#)", id="HAProxy CVE-2023-45539"
        ),
        pytest.param(b"GET / http/1.1", "invalid version 'http/1.1'", id="case"),
        pytest.param(
            b"GET / HTTP/1.10", "invalid version 'HTTP/1.10'", id="two digits"
        ),
        pytest.param(b"GET / HTTP/1", "invalid version 'HTTP/1'", id="no minor"),
        pytest.param(b"GET / HTTP/1,1", "invalid version", id="comma"),
        pytest.param(
            b"GET / HTTP/1.\xd9\xa1", "invalid version", id="aiohttp CVE-2025-69224"
        ),
        pytest.param(b"GET / HTTP/1.1\0", "control byte 0x00 at byte 14", id="NUL"),
        pytest.param(b"GET / HTTP/1.1\r", "a CR without LF at byte 14", id="CR"),
        pytest.param(b"GET /\r HTTP/1.1", "a CR without LF at byte 5", id="inner CR"),
        pytest.param(b"GET / HTTP/1.1\nA: b", "an LF without CR at byte 14", id="LF"),
        pytest.param(b"\x16\x03\x01\x02", "control byte 0x16 at byte 0", id="TLS"),
    ],
)
def test_a_malformed_request_line_is_refused_and_named(
    start: bytes, words: str
) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(words)) as caught:
        parse_request_head(request_bytes(b"Host: a", start=start))
    assert str(caught.value).startswith("malformed request line: ")


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(b"HTTP/0.9", id="older"),
        pytest.param(b"HTTP/2.0", id="newer"),
        pytest.param(b"HTTP/3.1", id="newest"),
    ],
)
def test_another_major_version_gets_505(version: bytes) -> None:
    with pytest.raises(VersionNotSupported, match=version.decode()) as caught:
        parse_request_head(request_bytes(start=b"GET / " + version))
    assert caught.value.status == 505


def test_the_preface_of_http2_is_another_version() -> None:
    """RFC 9113 §3.4: `PRI * HTTP/2.0`, followed by no fields."""
    with pytest.raises(VersionNotSupported):
        parse_request_head(b"PRI * HTTP/2.0\r\n\r\n")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"HTTP/2 200 OK", id="HTTP/2"),
        pytest.param(b"HTTP/2.0 200 OK", id="HTTP/2.0"),
        pytest.param(b"HTTP/0.9 200 OK", id="HTTP/0.9"),
        pytest.param(b"http/1.1 200 OK", id="case"),
        pytest.param(b"ICY 200 OK", id="shoutcast"),
        pytest.param(b"HTTP/1.1  200 OK", id="two spaces"),
        pytest.param(b"HTTP/1.1 20 OK", id="two digits"),
        pytest.param(b"HTTP/1.1 2000 OK", id="four digits"),
        pytest.param(b"HTTP/1.1 099 OK", id="below 100"),
        pytest.param(b"HTTP/1.1 +20 OK", id="sign"),
        pytest.param(b"HTTP/1.1 200OK", id="no space before the reason"),
        pytest.param(b"HTTP/1.1 200 O\rK", id="CR in the reason"),
        pytest.param(b"HTTP/1.1 200 O\nK", id="LF in the reason"),
        pytest.param(b"HTTP/1.1 200 O\0K", id="NUL in the reason"),
        pytest.param(b"HTTP/1.1 20\xd9\xa0 OK", id="digit of another script"),
    ],
)
def test_a_malformed_status_line_is_refused(start: bytes) -> None:
    with pytest.raises(MalformedResponse, match=r"^malformed status line '"):
        parse_response_head(response_bytes(b"Server: a", start=start))
