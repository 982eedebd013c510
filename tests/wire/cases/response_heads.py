"""Response heads of an upstream: status lines, fields, lengths, interim ones."""

from __future__ import annotations

from tests.wire.cases.model import (
    ResponseCase,
    Variant,
    bad_gateway,
    raw,
    relayed,
)

OK = b"HTTP/1.1 200 OK"
TWO = b"Content-Length: 2"
PLAIN = raw(OK, TWO, body=b"ok")


def line(start: bytes) -> bytes:
    return raw(start, TWO, body=b"ok")


def field(*lines: bytes) -> bytes:
    return raw(OK, TWO, *lines, body=b"ok")


def passes(name: str, source: str, *lines: bytes) -> ResponseCase:
    # The length is written after the fields that go on.
    return relayed(name, source, field(*lines), raw(OK, *lines, TWO, body=b"ok"))


BAD_FIELDS: list[Variant] = [
    ("a space before the colon", "RFC 9112 §5.1", b"X : y"),
    ("an empty name", "CVE-2023-25725 (HAProxy)", b": y"),
    ("no colon", "RFC 9112 §5", b"nothing"),
    ("a folded field", "RFC 9112 §5.2", b"X: y", b" z"),
    ("a NUL in a value", "CVE-2026-34520 (aiohttp)", b"X: y\0"),
    ("a CR in a value", "RFC 9110 §5.5", b"X: y\rSet-Cookie: a=b"),
    ("an LF in a value", "RFC 9110 §5.5", b"X: y\nSet-Cookie: a=b"),
    ("an escape in a value", "CVE-2026-34520 (aiohttp)", b"X: \x1b[2J"),
    ("a space in the name", "RFC 9110 §5.1", b"X Y: z"),
    ("a byte beyond ASCII in the name", "RFC 9110 §5.1", b"X\xe9: y"),
    (
        "a second, different length",
        "nginx: proxy_duplicate_headers.t",
        b"Content-Length: 3",
    ),
    ("a length and a coding", "RFC 9112 §6.3", b"Transfer-Encoding: chunked"),
    (
        "a coding that Connection names",
        "RFC 9112 §6.3",
        b"Connection: Transfer-Encoding",
        b"Transfer-Encoding: chunked",
    ),
]
BAD_CODINGS: list[Variant] = [
    ("identity", "RFC 9112 §7", b" identity"),
    ("an unknown coding", "RFC 9112 §6.1", b" cow"),
    ("an empty coding", "RFC 9112 §6.1", b""),
    ("gzip and chunked", "RFC 9112 §6.1", b" gzip, chunked"),
    ("chunked twice", "RFC 9112 §7.1", b" chunked", b" chunked"),
    ("chunked with letters after it", "RFC 9112 §7", b" chunkedx"),
    (
        "a vertical tab before chunked",
        "CVE-2019-18277 (HAProxy)",
        b" \x0bchunked",
    ),
]
CASES: list[ResponseCase] = [
    # -- the status line
    relayed("an ordinary response", "RFC 9112 §4", PLAIN, PLAIN),
    relayed(
        "an unknown status",
        "RFC 9110 §15",
        line(b"HTTP/1.1 299 X"),
        line(b"HTTP/1.1 299 X"),
    ),
    relayed(
        "a reason beyond ASCII",
        "RFC 9112 §4",
        line(b"HTTP/1.1 200 caf\xe9"),
        line(b"HTTP/1.1 200 caf\xe9"),
    ),
    relayed(
        "an empty reason", "RFC 9112 §4", line(b"HTTP/1.1 200 "), line(b"HTTP/1.1 200 ")
    ),
    relayed(
        "no reason and no space",
        "RFC 9112 §4",
        line(b"HTTP/1.1 200"),
        line(b"HTTP/1.1 200 "),
    ),
    relayed(
        "HTTP/1.0 closes",
        "RFC 9112 §9.3",
        line(b"HTTP/1.0 200 OK"),
        PLAIN,
        reused=False,
    ),
    relayed(
        "HTTP/1.0 with keep-alive",
        "RFC 9112 §9.3",
        raw(b"HTTP/1.0 200 OK", b"Connection: keep-alive", TWO, body=b"ok"),
        PLAIN,
    ),
    *[
        bad_gateway(name, source, line(start))
        for name, source, start in [
            ("HTTP/2.0", "RFC 9112 §2.3", b"HTTP/2.0 200 OK"),
            ("HTTP/2", "RFC 9112 §2.3", b"HTTP/2 200 OK"),
            ("HTTP/0.9", "RFC 9112 §2.3", b"HTTP/0.9 200 OK"),
            ("another protocol", "RFC 9112 §4", b"ICY 200 OK"),
            ("a version in lower case", "RFC 9112 §2.3", b"http/1.1 200 OK"),
            ("a version of two digits", "RFC 9112 §2.3", b"HTTP/1.10 200 OK"),
            ("no version", "RFC 9112 §4", b"200 OK"),
            ("no status", "RFC 9112 §4", b"HTTP/1.1"),
            ("no status but a reason", "RFC 9112 §4", b"HTTP/1.1 OK"),
            ("a status of two digits", "RFC 9112 §4", b"HTTP/1.1 20 OK"),
            ("a status of four digits", "RFC 9112 §4", b"HTTP/1.1 2000 OK"),
            ("a negative status", "RFC 9112 §4", b"HTTP/1.1 -20 OK"),
            ("a status with a sign", "RFC 9112 §4", b"HTTP/1.1 +200 OK"),
            ("a status of 0", "RFC 9110 §15", b"HTTP/1.1 000 OK"),
            ("a status of 099", "RFC 9110 §15", b"HTTP/1.1 099 OK"),
            ("hexadecimal", "RFC 9112 §4", b"HTTP/1.1 0xc OK"),
            ("two spaces", "RFC 9112 §4", b"HTTP/1.1  200 OK"),
            ("a tab", "RFC 9112 §4", b"HTTP/1.1\t200 OK"),
            ("a space first", "RFC 9112 §4", b" HTTP/1.1 200 OK"),
            ("a NUL in the reason", "CVE-2026-34520 (aiohttp)", b"HTTP/1.1 200 O\0K"),
            ("a CR in the reason", "CVE-2026-34519 (aiohttp)", b"HTTP/1.1 200 O\rK"),
            ("an escape in the reason", "RFC 9112 §4", b"HTTP/1.1 200 \x1b[2J"),
            ("HTML", "RFC 9112 §4", b"<!doctype html>"),
            ("an SSH greeting", "RFC 9112 §4", b"SSH-2.0-OpenSSH"),
        ]
    ],
    bad_gateway(
        "an HTTP/2 frame", "RFC 9113 §3.4", b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0"
    ),
    bad_gateway("a TLS alert", "RFC 8446 §6", b"\x15\x03\x01\0\x02\x02\x46"),
    bad_gateway("an empty line first", "RFC 9112 §4", b"\r\n" + PLAIN),
    bad_gateway("garbage before the head", "RFC 9112 §4", b"x" + PLAIN),
    bad_gateway("a request", "RFC 9112 §4", raw(b"GET / HTTP/1.1", b"Host: a")),
    # -- ends of lines
    bad_gateway("LF for CRLF", "RFC 9112 §2.2", PLAIN.replace(b"\r\n", b"\n")),
    bad_gateway("CR for CRLF", "RFC 9112 §2.2", PLAIN.replace(b"\r\n", b"\r")),
    bad_gateway(
        "LF after the status line", "RFC 9112 §2.2", PLAIN.replace(b"\r\n", b"\n", 1)
    ),
    # -- fields
    *[bad_gateway(name, source, field(*lines)) for name, source, *lines in BAD_FIELDS],
    *[
        bad_gateway(name, source, raw(OK, b"Content-Length: " + value, body=b"ok"))
        for name, source, value in [
            ("an empty length", "RFC 9110 §8.6", b""),
            ("a length with a sign", "RFC 9110 §8.6", b"+2"),
            ("a negative length", "RFC 9110 §8.6", b"-1"),
            ("a length in letters", "RFC 9110 §8.6", b"two"),
            ("a list of different lengths", "RFC 9112 §6.3", b"2, 3"),
            ("a length of 2^63", "RFC 9110 §8.6", b"9223372036854775808"),
        ]
    ],
    *[
        bad_gateway(
            name,
            source,
            raw(
                OK,
                *(b"Transfer-Encoding:" + value for value in values),
                body=b"2\r\nok\r\n0\r\n\r\n",
            ),
        )
        for name, source, *values in BAD_CODINGS
    ],
    bad_gateway(
        "chunked in HTTP/1.0",
        "RFC 9112 §6.1",
        raw(
            b"HTTP/1.0 200 OK",
            b"Transfer-Encoding: chunked",
            body=b"2\r\nok\r\n0\r\n\r\n",
        ),
    ),
    bad_gateway(
        "a head of more than 256 KiB",
        "CVE-2026-54277 (aiohttp)",
        raw(OK, *[b"X: " + b"y" * 1000] * 300, body=b"ok"),
    ),
    bad_gateway(
        "a line without end",
        "CVE-2026-54277 (aiohttp)",
        b"HTTP/1.1 200 " + b"O" * 300_000,
    ),
    relayed(
        "two equal lengths become one",
        "RFC 9110 §8.6",
        raw(OK, TWO, b"content-length: 2", body=b"ok"),
        PLAIN,
    ),
    relayed(
        "a list of equal lengths becomes one",
        "RFC 9110 §8.6",
        raw(OK, b"Content-Length: 2 , 2", body=b"ok"),
        PLAIN,
    ),
    relayed(
        "a length with zeros in front",
        "RFC 9110 §8.6",
        raw(OK, b"Content-Length: 002", body=b"ok"),
        PLAIN,
    ),
    passes(
        "cookies, each for itself",
        "RFC 6265 §3",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
    ),
    passes("bytes beyond ASCII in a value", "RFC 9110 §5.5", b"X: caf\xe9"),
    passes("an empty value", "RFC 9110 §5.5", b"X: "),
    passes("order, case and repetition", "RFC 9110 §5.3", b"b: 1", b"A: 2", b"B: 3"),
    relayed(
        "fields for this hop",
        "RFC 9110 §7.6.1",
        field(
            b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Upgrade: h2"
        ),
        PLAIN,
    ),
    relayed(
        "an upstream that closes after it",
        "RFC 9112 §9.6",
        field(b"Connection: close"),
        PLAIN,
        reused=False,
    ),
    # -- early ends
    bad_gateway(
        "nothing at all", "RFC 9112 §8", b"", then="fin", error="connection_terminated"
    ),
    bad_gateway(
        "a reset", "RFC 9112 §8", b"", then="reset", error="connection_terminated"
    ),
    bad_gateway(
        "half a status line",
        "RFC 9112 §8",
        b"HTTP/1.1 2",
        then="fin",
        error="connection_terminated",
    ),
    bad_gateway(
        "half a field",
        "RFC 9112 §8",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        then="reset",
        error="connection_terminated",
    ),
    bad_gateway(
        "a head without its empty line",
        "RFC 9112 §8",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        then="fin",
        error="connection_terminated",
    ),
]
