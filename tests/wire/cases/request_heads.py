"""Request lines and fields: the grammar, and everything that is nearly it."""

from __future__ import annotations

from tests.wire.cases.model import RequestCase, Variant, forwarded, raw, refused

LINE = b"GET /p HTTP/1.1"
HOST = b"Host: a"
PLAIN = raw(LINE, HOST)


def line(start: bytes) -> bytes:
    return raw(start, HOST)


def field(*lines: bytes) -> bytes:
    return raw(LINE, HOST, *lines)


def passes(name: str, source: str, *lines: bytes) -> RequestCase:
    return forwarded(name, source, field(*lines), field(*lines))


BAD_FIELDS: list[Variant] = [
    ("a space before the colon", "RFC 9112 §5.1", b"X : y"),
    ("a tab before the colon", "RFC 9112 §5.1", b"X\t: y"),
    (
        "a space before the colon of a framing field",
        "CVE-2019-16869 (Netty), CVE-2019-15605 (Node.js)",
        b"Transfer-Encoding : chunked",
    ),
    ("a CR before the colon", "RFC 9112 §5.1", b"X\r: y"),
    ("an empty name", "CVE-2023-25725 (HAProxy)", b": y"),
    ("only a colon", "CVE-2023-25725 (HAProxy)", b":"),
    ("no colon", "CVE-2019-20444 (Netty)", b"nothing"),
    ("a space in the name", "RFC 9110 §5.1", b"X Y: z"),
    ("a NUL in the name", "RFC 9110 §5.1", b"X\0: y"),
    ("a slash in the name", "RFC 9110 §5.1", b"X/Y: z"),
    ("brackets in the name", "RFC 9110 §5.1", b"X(Y): z"),
    ("quotes in the name", "RFC 9110 §5.1", b'"X": y'),
    ("an at sign in the name", "RFC 9110 §5.1", b"X@Y: z"),
    ("a byte beyond ASCII in the name", "RFC 9110 §5.1", b"X\xe9: y"),
    ("a DEL in the name", "RFC 9110 §5.1", b"X\x7f: y"),
    ("folded with a space", "RFC 9112 §5.2", b"X: y", b" z"),
    ("folded with a tab", "RFC 9112 §5.2", b"X: y", b"\tz"),
    ("folded before the first field", "RFC 9112 §2.2", b" X: y"),
    (
        "a folded framing field",
        "RFC 9112 §5.2",
        b"Transfer-Encoding:",
        b" chunked",
    ),
    ("a line of blanks", "RFC 9112 §5.2", b"X: y", b" "),
    ("a NUL in a value", "RFC 9110 §5.5", b"X: y\0z"),
    ("a NUL at the end of a value", "RFC 9110 §5.5", b"X: y\0"),
    ("a CR in a value", "RFC 9110 §5.5", b"X: y\rz"),
    ("an LF in a value", "RFC 9110 §5.5", b"X: y\nz"),
    ("a bell in a value", "RFC 9110 §5.5", b"X: y\x07"),
    ("an escape in a value", "RFC 9110 §5.5", b"X: \x1b[2J"),
    ("a DEL in a value", "RFC 9110 §5.5", b"X: y\x7f"),
    ("a vertical tab in a value", "RFC 9110 §5.5", b"X: y\x0bz"),
]
CASES: list[RequestCase] = [
    # -- the request line
    *[
        forwarded(name, source, line(start), line(start))
        for name, source, start in [
            ("a method that nobody knows", "RFC 9110 §9.1", b"BREW /p HTTP/1.1"),
            ("a method in lower case", "RFC 9110 §9.1", b"get /p HTTP/1.1"),
            (
                "every byte of a method",
                "RFC 9110 §5.6.2",
                b"!#$%&'*+-.^_`|~0A /p HTTP/1.1",
            ),
            ("TRACE", "RFC 9110 §9.3.8", b"TRACE /p HTTP/1.1"),
        ]
    ],
    *[
        refused(name, source, line(start), status)
        for name, source, start, status in [
            ("two spaces before the target", "RFC 9112 §3", b"GET  /p HTTP/1.1", 400),
            ("two spaces after the target", "RFC 9112 §3", b"GET /p  HTTP/1.1", 400),
            ("a space before the method", "RFC 9112 §3", b" GET /p HTTP/1.1", 400),
            ("a space after the version", "RFC 9112 §3", b"GET /p HTTP/1.1 ", 400),
            ("tabs for spaces", "RFC 9112 §3", b"GET\t/p\tHTTP/1.1", 400),
            ("a vertical tab for a space", "RFC 9112 §3", b"GET\x0b/p HTTP/1.1", 400),
            ("a form feed for a space", "RFC 9112 §3", b"GET /p\x0cHTTP/1.1", 400),
            ("CR for a space", "RFC 9112 §3", b"GET\r/p HTTP/1.1", 400),
            ("a space in the target", "RFC 9112 §3.2", b"GET /p q HTTP/1.1", 400),
            ("a method with a colon", "RFC 9110 §9.1", b"GE:T /p HTTP/1.1", 400),
            ("a method in brackets", "RFC 9110 §9.1", b"(GET) /p HTTP/1.1", 400),
            ("a method with a NUL", "RFC 9110 §9.1", b"G\0ET /p HTTP/1.1", 400),
            ("a method beyond ASCII", "RFC 9110 §9.1", b"G\xcbT /p HTTP/1.1", 400),
            ("no method", "RFC 9112 §3", b" /p HTTP/1.1", 400),
            ("no target", "RFC 9112 §3", b"GET HTTP/1.1", 400),
            ("an empty target", "RFC 9112 §3", b"GET  HTTP/1.1", 400),
            ("no version: HTTP/0.9", "RFC 9112 §2.3", b"GET /p", 400),
            ("HTTP/0.9 in words", "RFC 9110 §2.5", b"GET /p HTTP/0.9", 505),
            ("HTTP/2.0", "RFC 9110 §15.6.6", b"GET /p HTTP/2.0", 505),
            ("HTTP/3.0", "RFC 9110 §15.6.6", b"GET /p HTTP/3.0", 505),
            ("HTTP/2 without a minor", "RFC 9112 §2.3", b"GET /p HTTP/2", 400),
            ("HTTP/1 without a minor", "RFC 9112 §2.3", b"GET /p HTTP/1", 400),
            ("HTTP/1. without a minor", "RFC 9112 §2.3", b"GET /p HTTP/1.", 400),
            ("two digits", "RFC 9112 §2.3", b"GET /p HTTP/1.10", 400),
            ("a zero in front", "RFC 9112 §2.3", b"GET /p HTTP/01.1", 400),
            ("a version in lower case", "RFC 9112 §2.3", b"GET /p http/1.1", 400),
            ("another protocol", "RFC 9112 §2.3", b"GET /p ICY/1.1", 400),
            ("a version with a sign", "RFC 9112 §2.3", b"GET /p HTTP/+1.1", 400),
            ("a version with a space", "RFC 9112 §2.3", b"GET /p HTTP/ 1.1", 400),
            ("a version with a comma", "RFC 9112 §2.3", b"GET /p HTTP/1,1", 400),
            (
                "a version in another script",
                "CVE-2025-69224 (aiohttp)",
                b"GET /p HTTP/1.\xb9",
                400,
            ),
            ("HTTP/2 with prior knowledge", "RFC 9113 §3.4", b"PRI * HTTP/2.0", 505),
        ]
    ],
    refused("only a blank", "RFC 9112 §3", b" \r\n\r\n"),
    refused("a TLS handshake", "RFC 9112 §2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01"),
    refused("a SOCKS greeting", "RFC 9112 §2.2", b"\x05\x01\x00"),
    refused(
        "a proxy-protocol header",
        "RFC 9112 §2.2",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + PLAIN,
    ),
    refused("a response", "RFC 9112 §3", raw(b"HTTP/1.1 200 OK", b"Content-Length: 0")),
    # -- before and after the head
    forwarded("an empty line first", "RFC 9112 §2.2", b"\r\n" + PLAIN, PLAIN),
    refused("an empty line of LF first", "RFC 9112 §2.2", b"\n" + PLAIN),
    refused("a CR first", "RFC 9112 §2.2", b"\r" + PLAIN),
    refused("five empty lines", "RFC 9112 §2.2", b"\r\n" * 5 + PLAIN),
    # -- ends of lines
    refused("LF for CRLF throughout", "RFC 9112 §2.2", PLAIN.replace(b"\r\n", b"\n")),
    refused(
        "CR for CRLF throughout", "RFC 9112 §2.2", PLAIN.replace(b"\r\n", b"\r") + b"\n"
    ),
    refused(
        "LF after the request line",
        "RFC 9112 §2.2",
        b"GET /p HTTP/1.1\nHost: a\r\n\r\n",
    ),
    refused(
        "CR after the request line",
        "RFC 9112 §2.2",
        b"GET /p HTTP/1.1\rHost: a\r\n\r\n",
    ),
    refused(
        "LF after a field",
        "CVE-2025-22871 (Go)",
        b"GET /p HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    ),
    refused(
        "LF as the empty line", "RFC 9112 §2.2", b"GET /p HTTP/1.1\r\nHost: a\r\n\n"
    ),
    refused(
        "CR as the empty line", "RFC 9112 §2.2", b"GET /p HTTP/1.1\r\nHost: a\r\n\rX"
    ),
    refused(
        "CR CR LF after a field",
        "RFC 9112 §2.2",
        b"GET /p HTTP/1.1\r\nHost: a\r\r\n\r\n",
    ),
    refused("LF CR", "RFC 9112 §2.2", b"GET /p HTTP/1.1\n\rHost: a\n\r\n\r"),
    # -- fields
    *[refused(name, source, field(*lines)) for name, source, *lines in BAD_FIELDS],
    refused(
        "folded right after the request line",
        "RFC 9112 §2.2",
        raw(LINE, b" Host: a", HOST),
    ),
    passes("an empty value", "RFC 9110 §5.5", b"X: "),
    passes("bytes beyond ASCII in a value", "RFC 9110 §5.5", b"X: caf\xe9 \x80\xff"),
    passes("a tab in a value", "RFC 9110 §5.5", b"X: y\tz"),
    passes("colons in a value", "RFC 9110 §5.5", b"X: y: z:"),
    passes("every byte of a name", "RFC 9110 §5.6.2", b"!#$%&'*+-.^`|~0A: y"),
    passes(
        "order, case and repetition",
        "RFC 9110 §5.3",
        b"b: 1",
        b"A: 2",
        b"B: 3",
        b"a: 4",
    ),
    passes("several cookies", "RFC 6265 §5.4", b"Cookie: a=1", b"Cookie: b=2"),
    forwarded("no space after the colon", "RFC 9112 §5", field(b"X:y"), field(b"X: y")),
    forwarded(
        "blanks around a value", "RFC 9112 §5.1", field(b"X: \t y \t "), field(b"X: y")
    ),
    # -- hop by hop
    forwarded(
        "fields that Connection names",
        "RFC 9110 §7.6.1",
        field(b"Connection: keep-alive, X-One", b"X-One: 1", b"X-Two: 2"),
        field(b"X-Two: 2"),
    ),
    forwarded(
        "Connection twice",
        "RFC 9110 §7.6.1",
        field(b"Connection: x-one", b"X-One: 1", b"connection: ,X-TWO,", b"X-Two: 2"),
        PLAIN,
    ),
    forwarded(
        "Keep-Alive, Proxy-Connection, TE, a Trailer that it names",
        "RFC 9110 §7.6.1",
        field(
            b"Keep-Alive: timeout=5",
            b"Proxy-Connection: keep-alive",
            b"TE: gzip",
            b"Trailer: X",
            b"Connection: Trailer",
        ),
        PLAIN,
    ),
    forwarded(
        "the names of trailers that are dropped",
        "RFC 9110 §6.6.2",
        field(b"Trailer: X-Sum"),
        field(b"Trailer: X-Sum"),
    ),
    forwarded(
        "a proxy for what the program asks itself",
        "CVE-2016-5385 (httpoxy)",
        field(b"Proxy: http://evil/", b"proxy: x", b"Proxy_: 1"),
        field(b"Proxy_: 1"),
    ),
    forwarded(
        "an upgrade to h2c",
        "RFC 9113 §3.1, h2c smuggling (2020)",
        field(
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABk",
        ),
        PLAIN,
    ),
    forwarded(
        "underscores that may be read as dashes",
        "RFC 3875 §4.1.18, nginx: underscores_in_headers",
        field(
            b"Transfer_Encoding: chunked",
            b"Content_Length: 5",
            b"X_Forwarded_For: 10.0.0.1",
            b"Under_Score: 1",
        ),
        field(b"Under_Score: 1"),
    ),
    forwarded(
        "trailers are welcome",
        "RFC 9110 §10.1.4",
        field(b"TE: trailers, deflate;q=0.5", b"Connection: TE"),
        field(b"TE: trailers", b"Connection: TE"),
    ),
]
