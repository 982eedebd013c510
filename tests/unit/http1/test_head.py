"""The grammar of heads, as tables: what is taken, and how it is read."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest

from proxy.errors import MalformedRequest, MalformedResponse
from proxy.http1.grammar import LOWER_NAMES, NAMES, Remembered, is_authority, shown
from proxy.http1.head import Head, parse_request_head, parse_response_head
from tests.unit.http1.heads import request_bytes, response_bytes

ALL_BYTES = frozenset(range(256))
VISIBLE = frozenset(range(0x21, 0x7F))
OBS_TEXT = frozenset(range(0x80, 0x100))
TCHAR = frozenset(f"!#$%&'*+-.^_`|~{string.digits}{string.ascii_letters}".encode())


def taken(parse: Callable[[bytes], Head], make: Callable[[bytes], bytes]) -> set[int]:
    """The bytes with which `make` gives a head that parses."""
    found = set()
    for value in ALL_BYTES:
        try:
            parse(make(bytes([value])))
        except (MalformedRequest, MalformedResponse):
            continue
        found.add(value)
    return found


# -- well-formed heads


def test_a_request_head_keeps_what_came_as_it_came() -> None:
    parsed = parse_request_head(
        request_bytes(
            b"hOsT:a:80",
            b"X-Empty:",
            b"X-Blank: \t ",
            b"X-Padded: \t a  x\t ",
            b"x-latin: caf\xe9",
            b"X-Colon: a:b",
            b"X-Empty: again",
            start=b"PATCH /a?b=1 HTTP/1.1",
        )
    )
    assert (parsed.method, parsed.target, parsed.minor) == (b"PATCH", b"/a?b=1", 1)
    assert parsed.fields == [
        (b"hOsT", b"a:80"),
        (b"X-Empty", b""),
        (b"X-Blank", b""),
        (b"X-Padded", b"a  x"),
        (b"x-latin", b"caf\xe9"),
        (b"X-Colon", b"a:b"),
        (b"X-Empty", b"again"),
    ]


@pytest.mark.parametrize(
    ("start", "status", "reason", "minor"),
    [
        pytest.param(b"HTTP/1.1 200 OK", 200, b"OK", 1, id="usual"),
        pytest.param(b"HTTP/1.0 404 Not Found", 404, b"Not Found", 0, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 204 ", 204, b"", 1, id="empty reason, RFC 9112 4"),
        pytest.param(b"HTTP/1.1 204", 204, b"", 1, id="no space, as many send it"),
        pytest.param(b"HTTP/1.1 500 \xe4\t!", 500, b"\xe4\t!", 1, id="obs-text, tab"),
        pytest.param(b"HTTP/1.1 200  two", 200, b" two", 1, id="second space kept"),
        pytest.param(b"HTTP/1.1 999 x", 999, b"x", 1, id="unknown status"),
        pytest.param(b"HTTP/1.1 103 Early Hints", 103, b"Early Hints", 1, id="1xx"),
    ],
)
def test_a_status_line_is_read(
    start: bytes, status: int, reason: bytes, minor: int
) -> None:
    parsed = parse_response_head(response_bytes(b"A: b", start=start))
    assert (parsed.status, parsed.reason, parsed.minor) == (status, reason, minor)
    assert parsed.fields == [(b"A", b"b")]


def test_a_head_may_have_no_field() -> None:
    assert parse_request_head(request_bytes()).fields == []
    assert parse_response_head(response_bytes()).fields == []


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/a%2Fb%2f", id="encoded slash, case kept"),
        pytest.param(b"//a//b/", id="double slashes"),
        pytest.param(b"/a/../b/./c/..", id="dot segments"),
        pytest.param(b"/%2e%2E/x", id="encoded dot segments"),
        pytest.param(b"/a+b%20c", id="plus and encoded space"),
        pytest.param(b"/a?", id="bare question mark"),
        pytest.param(b"/a??b=?&&=", id="odd query"),
        pytest.param(b"/%zz%", id="broken percent encoding"),
        pytest.param(b"/\xe4\xbd\xa0\xff\x80", id="bytes of 0x80 and above"),
        pytest.param(b'/"<>\\^`{|}', id="visible bytes that no URL has"),
        pytest.param(b"/;a=b@c:d,e!$&'()*", id="sub-delims"),
        pytest.param(b"http://a/b?c", id="absolute-form, RFC 9112 3.2.2"),
        pytest.param(b"a:443", id="authority-form, RFC 9112 3.2.3"),
        pytest.param(b"*", id="asterisk-form, RFC 9112 3.2.4"),
    ],
)
def test_a_target_is_kept_byte_for_byte(target: bytes) -> None:
    start = b"GET %b HTTP/1.1" % target
    assert parse_request_head(request_bytes(start=start)).target == target


@pytest.mark.parametrize(
    ("version", "minor"),
    [(b"HTTP/1.0", 0), (b"HTTP/1.1", 1), (b"HTTP/1.9", 9)],
)
def test_any_minor_version_of_1_is_taken(version: bytes, minor: int) -> None:
    """RFC 9110 §2.5: same major version, same syntax."""
    assert parse_request_head(request_bytes(start=b"GET / " + version)).minor == minor


# -- each byte in each place


def test_a_method_is_made_of_token_bytes() -> None:
    """RFC 9110 §5.6.2, §9.1; a space there makes a line of four parts."""
    good = taken(
        parse_request_head, lambda b: request_bytes(start=b"G%bT / HTTP/1.1" % b)
    )
    assert good == TCHAR


def test_a_target_is_made_of_visible_bytes_without_a_fragment() -> None:
    """RFC 9112 §3.2; aiohttp CVE-2024-23829: no tab, no white space of Unicode."""
    good = taken(
        parse_request_head, lambda b: request_bytes(start=b"GET /%b HTTP/1.1" % b)
    )
    assert good == (VISIBLE | OBS_TEXT) - frozenset(b"#")


@pytest.mark.parametrize(
    ("parse", "make"),
    [
        pytest.param(parse_request_head, request_bytes, id="request"),
        pytest.param(parse_response_head, response_bytes, id="response"),
    ],
)
class TestEveryByteOfAField:
    """A response is judged as strictly as a request (aiohttp CVE-2026-34520)."""

    def test_a_name_is_a_token(
        self, parse: Callable[[bytes], Head], make: Callable[..., bytes]
    ) -> None:
        """RFC 9110 §5.1."""
        assert taken(parse, lambda b: make(b"X%bY: a" % b)) == TCHAR | frozenset(b":")

    def test_a_value_holds_no_control_byte_but_tab(
        self, parse: Callable[[bytes], Head], make: Callable[..., bytes]
    ) -> None:
        """RFC 9110 §5.5."""
        good = VISIBLE | OBS_TEXT | frozenset(b" \t")
        assert taken(parse, lambda b: make(b"X: a%bb" % b)) == good
        assert taken(parse, lambda b: make(b"X: %b" % b)) == good
        assert taken(parse, lambda b: make(b"X: a%b" % b)) == good


def test_a_reason_holds_no_control_byte_but_tab() -> None:
    """RFC 9112 §4; a CR there once split responses (aiohttp CVE-2026-34519)."""
    good = taken(
        parse_response_head, lambda b: response_bytes(start=b"HTTP/1.1 200 a%bb" % b)
    )
    assert good == VISIBLE | OBS_TEXT | frozenset(b" \t")


# -- repeated fields


def test_repeated_fields_are_joined_for_reading_and_kept_apart_for_sending() -> None:
    """RFC 9110 §5.3: in order, joined by a comma."""
    parsed = parse_response_head(
        response_bytes(
            b"Set-Cookie: a=1", b"Vary: Origin", b"set-cookie: b=2", b"vary: X,,y "
        )
    )
    assert parsed.get(b"set-cookie") == b"a=1, b=2"
    assert parsed.members(b"vary") == [b"origin", b"x", b"y"]
    assert [name for name, _ in parsed.fields] == [
        b"Set-Cookie",
        b"Vary",
        b"set-cookie",
        b"vary",
    ]


def test_a_field_that_is_not_there_has_no_value_and_no_members() -> None:
    parsed = parse_request_head(request_bytes())
    assert parsed.get(b"host") is None
    assert parsed.members(b"connection") == []


# -- Host

HOSTS = {
    b"a": True,
    b"a.example:80": True,
    b"a:": True,
    b"under_score.example": True,
    b"xn--bcher-kva": True,
    b"a%2Eb": True,
    b"127.0.0.1:65535": True,
    b"[::1]": True,
    b"[::1]:8080": True,
    b"[fe80::1%25eth0]:1": True,
    b"": False,
    b":80": False,
    b"a,b": False,
    b"a%zz": False,
    b"[1::2::3]": False,
    b"a:65536": False,
    b"a:123456": False,
    b"a:b": False,
    b"a:-1": False,
    b"::1": False,
    b"[::1": False,
    b"[]": False,
    b"[::1%eth0]": False,
    b"user@a": False,
    b"a, b": False,
    b"a b": False,
    b"a/b": False,
    b"a?b": False,
    b"a#b": False,
    b"a\\b": False,
    b"caf\xe9": False,
    b"<a>": False,
}


@pytest.mark.parametrize(("host", "valid"), HOSTS.items(), ids=map(repr, HOSTS))
def test_a_host_is_a_name_or_an_address_and_a_port(host: bytes, valid: bool) -> None:
    """RFC 9110 §7.2, RFC 3986 §3.2.2; no user information."""
    assert is_authority(host) is valid


# -- in messages


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"plain", "'plain'", id="plain"),
        pytest.param(b"a\r\n\x1b", r"'a\r\n\x1b'", id="control bytes"),
        pytest.param(b"\xff", r"'\\xff'", id="no text"),
        pytest.param(b"a" * 41, "'" + "a" * 40 + "…'", id="long"),
    ],
)
def test_bytes_of_a_peer_are_shown_safely(data: bytes, text: str) -> None:
    assert shown(data) == text
    assert text.isprintable()


def test_what_is_remembered_of_names_is_bounded() -> None:
    asked: list[bytes] = []

    def judge(name: bytes) -> bool:
        asked.append(name)
        return name == b"a"

    judged = Remembered(judge)
    assert judged[b"a"]
    assert judged[b"a"]
    assert not judged[b"b" * 65]
    assert not judged[b"b" * 65]
    assert asked == [b"a", b"b" * 65, b"b" * 65]
    for number in range(2000):
        assert not judged[b"%d" % number]
    assert len(judged) == 1000


def test_names_of_fields_stand_in_memory_once() -> None:
    """Thousands of open streams have the same ones."""
    for known in (NAMES, LOWER_NAMES):
        known.clear()  # other tests may have filled them
    one, other = (
        parse_response_head(response_bytes(b"X-A: %d" % number)) for number in range(2)
    )
    assert one.fields != other.fields
    assert one.fields[0][0] is other.fields[0][0]
    assert next(iter(one.index)) is next(iter(other.index))
