"""Response bodies of an upstream: good, short, long, broken, cut at each place."""

from __future__ import annotations

from tests.wire.cases.model import (
    GET_1_0,
    ResponseCase,
    cut_off,
    raw,
    relayed,
)

OK = b"HTTP/1.1 200 OK"
TWO = b"Content-Length: 2"
CODED = b"Transfer-Encoding: chunked"
PLAIN = raw(OK, TWO, body=b"ok")
FORGED = raw(OK, b"Content-Length: 6", body=b"forged")
# What a response of unknown length says of itself to the next hop.
STREAM = (b"X-Accel-Buffering: no", b"Cache-Control: no-transform")
GET_TRAILERS = raw(
    b"GET /first HTTP/1.1", b"Host: a", b"TE: trailers", b"Connection: TE"
)


def chunked(body: bytes, *fields: bytes) -> bytes:
    return raw(OK, CODED, *fields, body=body)


def stream(body: bytes) -> bytes:
    """As the client of HTTP/1.1 gets it: in chunks of our own."""
    return raw(OK, *STREAM, CODED, body=body)


def until_close(body: bytes) -> bytes:
    """As the client of HTTP/1.0 gets it."""
    return raw(OK, *STREAM, b"Connection: close", body=body)


CASES: list[ResponseCase] = [
    # -- chunked
    relayed(
        "one chunk",
        "RFC 9112 §7.1",
        chunked(b"2\r\nok\r\n0\r\n\r\n"),
        stream(b"2\r\nok\r\n0\r\n\r\n"),
    ),
    relayed(
        "chunks are the proxy's own",
        "RFC 9112 §7.1",
        chunked(b"1;x=y\r\no\r\n01\r\nk\r\n00\r\n\r\n"),
        stream(b"2\r\nok\r\n0\r\n\r\n"),
    ),
    relayed("no chunk", "RFC 9112 §7.1", chunked(b"0\r\n\r\n"), stream(b"0\r\n\r\n")),
    relayed(
        "chunked, to HTTP/1.0",
        "RFC 9112 §6.1",
        chunked(b"2\r\nok\r\n0\r\n\r\n"),
        until_close(b"ok"),
        request=GET_1_0,
        closes=True,
    ),
    *[
        cut_off(name, source, chunked(b"2\r\nok\r\n" + rest), stream(b"2\r\nok\r\n"))
        for name, source, rest in [
            ("no hexadecimal", "RFC 9112 §7.1", b"g\r\n"),
            ("an empty size", "RFC 9112 §7.1", b"\r\n"),
            ("a negative size", "RFC 9112 §7.1", b"-1\r\nx\r\n0\r\n\r\n"),
            (
                "0x before the size",
                "CVE-2023-37276 (aiohttp)",
                b"0x1\r\nx\r\n0\r\n\r\n",
            ),
            ("an underscore", "CVE-2023-47627 (aiohttp)", b"0_1\r\nx\r\n0\r\n\r\n"),
            ("a size of 2^64", "CVE-2021-32714 (hyper)", b"10000000000000001\r\nx\r\n"),
            ("LF after the size", "CVE-2025-22871 (Go)", b"1\nx\r\n0\r\n\r\n"),
            (
                "a space after the size",
                "CVE-2024-52304 (aiohttp)",
                b"1 \r\nx\r\n0\r\n\r\n",
            ),
            (
                "an extension with LF",
                "CVE-2024-52304 (aiohttp)",
                b"1;\n\r\nx\r\n0\r\n\r\n",
            ),
            ("an endless extension", "CVE-2024-22019 (Node.js)", b"1;" + b"x" * 2000),
            (
                "an unterminated quoted string",
                "RFC 9112 §7.1.1",
                b'1;a="\r\nX\r\n0\r\n\r\n',
            ),
            ("LF after the last size", "CVE-2025-22871 (Go)", b"0\n\n"),
            ("a malformed trailer", "RFC 9112 §7.1.2", b"0\r\nX\r\n\r\n"),
            ("a folded trailer", "RFC 9112 §5.2", b"0\r\nX: y\r\n z\r\n\r\n"),
            ("a NUL in a trailer", "RFC 9110 §5.5", b"0\r\nX: \0\r\n\r\n"),
            ("a response for a chunk", "RFC 9112 §11.1", FORGED),
        ]
    ],
    cut_off(
        "no CRLF after a chunk",
        "CVE-2025-43859 (h11)",
        chunked(b"2\r\nokXX0\r\n\r\n"),
        stream(b"2\r\nok\r\n"),
    ),
    cut_off(
        "LF after a chunk",
        "CVE-2025-43859 (h11)",
        chunked(b"2\r\nok\n0\r\n\r\n"),
        stream(b"2\r\nok\r\n"),
    ),
    cut_off(
        "the first chunk is broken",
        "RFC 9112 §7.1",
        chunked(b"zz\r\n"),
        stream(b""),
    ),
    cut_off(
        "a broken chunk, to HTTP/1.0",
        "RFC 9112 §8",
        chunked(b"2\r\nok\r\nzz\r\n"),
        until_close(b"ok"),
        request=GET_1_0,
    ),
    # -- trailers
    relayed(
        "trailers, to a client that wants none",
        "RFC 9110 §6.5.1",
        chunked(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"),
        raw(OK, b"Trailer: X-Sum", *STREAM, CODED, body=b"2\r\nok\r\n0\r\n\r\n"),
    ),
    relayed(
        "trailers, to a client that wants them",
        "RFC 9110 §6.5.1, §10.1.4",
        chunked(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"),
        raw(
            OK,
            b"Trailer: X-Sum",
            *STREAM,
            CODED,
            body=b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        request=GET_TRAILERS,
    ),
    relayed(
        "trailers that mean too much",
        "RFC 9110 §6.5.1",
        chunked(
            b"2\r\nok\r\n0\r\nContent-Length: 9\r\nX-Sum: 1\r\nTransfer-Encoding: x\r\n"
            b"Set-Cookie: a=b\r\nHost: b\r\nConnection: close\r\n\r\n"
        ),
        stream(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
        request=GET_TRAILERS,
    ),
]
