"""Chunked request bodies, good and bad. The chunks that go on are our own."""

from __future__ import annotations

from tests.wire.cases.model import RequestCase, forwarded, raw, refused

LINES = (b"POST /p HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")


def chunked(body: bytes) -> bytes:
    return raw(*LINES, body=body)


def good(name: str, source: str, body: bytes, content: bytes) -> RequestCase:
    return forwarded(f"chunks: {name}", source, chunked(body), chunked(content))


def bad(name: str, source: str, body: bytes) -> RequestCase:
    return refused(f"chunks: {name}", source, chunked(body))


CASES: list[RequestCase] = [
    good("no chunk", "RFC 9112 §7.1", b"0\r\n\r\n", b""),
    good("two chunks", "RFC 9112 §7.1", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
    good(
        "upper-case size",
        "RFC 9112 §7.1",
        b"A\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
    ),
    good("leading zeros", "RFC 9112 §7.1", b"005\r\nhello\r\n0\r\n\r\n", b"hello"),
    good(
        "many zeros at the end", "RFC 9112 §7.1", b"5\r\nhello\r\n000\r\n\r\n", b"hello"
    ),
    good("an extension", "RFC 9112 §7.1.1", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello"),
    good(
        "a quoted extension",
        "RFC 9112 §7.1.1",
        b'5;a="b c;d"\r\nhello\r\n0;last\r\n\r\n',
        b"hello",
    ),
    good(
        "space before an extension",
        "RFC 9112 §7.1.1",
        b"5 ;a\r\nhello\r\n0\r\n\r\n",
        b"hello",
    ),
    good(
        "CRLF as content", "RFC 9112 §7.1", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"
    ),
    good(
        "a last chunk as content",
        "RFC 9112 §7.1",
        b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        b"0\r\n\r\n",
    ),
    good(
        "a request as content",
        "RFC 9112 §11.2",
        b"1c\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    good(
        "trailers are dropped",
        "RFC 9110 §6.5.1",
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"hello",
    ),
    good(
        "a trailer with a length is dropped",
        "CVE-2025-53643 (aiohttp)",
        b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nHost: b\r\n\r\n",
        b"hello",
    ),
    good(
        "a trailer with a forged address is dropped",
        "RFC 9110 §6.5.1",
        b"0\r\nX-Forwarded-For: 10.0.0.1\r\nAuthorization: x\r\n\r\n",
        b"",
    ),
    # -- sizes
    bad("an empty size", "RFC 9112 §7.1", b"\r\nhello\r\n0\r\n\r\n"),
    bad("no hexadecimal", "RFC 9112 §7.1", b"g\r\nhello\r\n0\r\n\r\n"),
    bad("0x before the size", "CVE-2023-37276 (aiohttp)", b"0x5\r\nhello\r\n0\r\n\r\n"),
    bad("a plus sign", "CVE-2023-47627 (aiohttp)", b"+5\r\nhello\r\n0\r\n\r\n"),
    bad("a minus sign", "RFC 9112 §7.1", b"-5\r\nhello\r\n0\r\n\r\n"),
    bad("minus nothing", "RFC 9112 §7.1", b"-0\r\n\r\n"),
    bad("an underscore", "CVE-2023-47627 (aiohttp)", b"0_5\r\nhello\r\n0\r\n\r\n"),
    bad("a space before", "RFC 9112 §7.1", b" 5\r\nhello\r\n0\r\n\r\n"),
    bad("a space after", "CVE-2024-52304 (aiohttp)", b"5 \r\nhello\r\n0\r\n\r\n"),
    bad("a tab after", "RFC 9112 §7.1", b"5\t\r\nhello\r\n0\r\n\r\n"),
    bad("2^64", "CVE-2021-32714 (hyper)", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    bad("f sixteen times", "CVE-2021-32714 (hyper)", b"f" * 16 + b"\r\nhello\r\n"),
    bad("a thousand zeros", "RFC 9112 §7.1", b"0" * 1000 + b"5\r\nhello\r\n0\r\n\r\n"),
    bad("a decimal point", "RFC 9112 §7.1", b"5.0\r\nhello\r\n0\r\n\r\n"),
    bad("a comma", "RFC 9112 §7.1", b"5,5\r\nhello\r\n0\r\n\r\n"),
    bad("a NUL after the size", "RFC 9112 §7.1", b"5\0\r\nhello\r\n0\r\n\r\n"),
    bad("0x85 as a line end", "RFC 9112 §7.1", b"5\x85hello\r\n0\r\n\r\n"),
    # -- ends of lines
    bad("LF after the size", "CVE-2025-22871 (Go)", b"5\nhello\r\n0\r\n\r\n"),
    bad("CR after the size", "RFC 9112 §2.2", b"5\rhello\r\n0\r\n\r\n"),
    bad("CR CR LF after the size", "RFC 9112 §2.2", b"5\r\r\nhello\r\n0\r\n\r\n"),
    bad("LF after the data", "CVE-2025-43859 (h11)", b"5\r\nhello\n0\r\n\r\n"),
    bad(
        "any two bytes after the data", "CVE-2025-43859 (h11)", b"5\r\nhelloXX0\r\n\r\n"
    ),
    bad("CR X after the data", "CVE-2025-43859 (h11)", b"5\r\nhello\rX0\r\n\r\n"),
    bad("X LF after the data", "CVE-2025-43859 (h11)", b"5\r\nhelloX\n0\r\n\r\n"),
    bad("nothing after the data", "CVE-2025-43859 (h11)", b"5\r\nhello0\r\n\r\n"),
    bad("a size too small", "RFC 9112 §7.1", b"4\r\nhello\r\n0\r\n\r\n"),
    bad("a size too large", "RFC 9112 §7.1", b"6\r\nhello\r\n0\r\n\r\n"),
    bad("LF after the last size", "CVE-2025-22871 (Go)", b"0\n\n"),
    bad("LF as the last line", "RFC 9112 §7.1", b"0\r\n\n"),
    bad("CR as the last line", "RFC 9112 §7.1", b"0\r\n\rX\r\n"),
    bad("data after the last size", "RFC 9112 §7.1", b"0\r\nhello\r\n\r\n"),
    # -- extensions
    bad(
        "LF in an extension",
        "CVE-2024-52304 (aiohttp)",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    ),
    bad(
        "CR in an extension",
        "CVE-2024-52304 (aiohttp)",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    ),
    bad(
        "LF in a quoted extension",
        "CVE-2025-22871 (Go), RFC 9110 §5.6.4",
        b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
    ),
    bad("a NUL in an extension", "RFC 9112 §7.1.1", b"5;\0\r\nhello\r\n0\r\n\r\n"),
    bad("an extension without ;", "RFC 9112 §7.1.1", b"5 a=b\r\nhello\r\n0\r\n\r\n"),
    bad(
        "an endless extension",
        "CVE-2024-22019 (Node.js)",
        b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
    ),
    bad(
        "extensions without end",
        "CVE-2023-39326 (Go)",
        (b"1;" + b"a" * 500 + b"\r\nx\r\n") * 40 + b"0\r\n\r\n",
    ),
    bad("an unterminated quoted string", "RFC 9112 §7.1.1", b'1;a="\r\nX\r\n0\r\n\r\n'),
    bad("an extension without a name", "RFC 9112 §7.1.1", b"1;\r\nX\r\n0\r\n\r\n"),
    bad(
        "text behind a quoted string", "RFC 9112 §7.1.1", b'1;a="b"c\r\nX\r\n0\r\n\r\n'
    ),
    # -- trailers
    bad("LF in the trailers", "RFC 9112 §7.1.2", b"0\r\nX: 1\n\r\n\r\n"),
    bad("a trailer without a colon", "RFC 9112 §7.1.2", b"0\r\nX\r\n\r\n"),
    bad("a trailer with a space in its name", "RFC 9112 §5.1", b"0\r\nX : 1\r\n\r\n"),
    bad("a folded trailer", "RFC 9112 §5.2", b"0\r\nX: 1\r\n 2\r\n\r\n"),
    bad("a NUL in a trailer", "RFC 9110 §5.5", b"0\r\nX: \0\r\n\r\n"),
    bad("endless trailers", "CVE-2026-22815 (aiohttp)", b"0\r\n" + b"X: 1\r\n" * 5000),
]
