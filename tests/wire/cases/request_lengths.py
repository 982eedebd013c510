"""How long is the request body? Content-Length and Transfer-Encoding."""

from __future__ import annotations

from tests.wire.cases.model import RequestCase, Variant, forwarded, raw, refused

POST = b"POST /p HTTP/1.1"
HOST = b"Host: a"


def length(value: bytes, name: bytes = b"Content-Length") -> bytes:
    return raw(POST, HOST, name + b": " + value, body=b"hello")


def coding(*values: bytes) -> bytes:
    fields = [b"Transfer-Encoding:" + value for value in values]
    return raw(POST, HOST, *fields, body=b"5\r\nhello\r\n0\r\n\r\n")


HELLO = raw(POST, HOST, b"Content-Length: 5", body=b"hello")
CHUNKED_HELLO = raw(POST, HOST, b"Transfer-Encoding: chunked", body=b"hello")

BAD_CODINGS: list[Variant] = [
    ("no coding", "RFC 9112 §6.1", b""),
    ("another coding after chunked", "RFC 9112 §6.3", b" chunked, gzip"),
    ("chunked, identity", "RFC 9112 §6.3", b" chunked, identity"),
    ("chunked twice in a list", "RFC 9112 §7.1", b" chunked, chunked"),
    ("chunked twice", "RFC 9112 §7.1", b" chunked", b" chunked"),
    (
        "chunked, then another",
        "CVE-2019-16785 (Waitress)",
        b" chunked",
        b" cow",
    ),
    ("an empty member before", "RFC 9110 §5.6.1", b" , chunked"),
    ("an empty member after", "RFC 9110 §5.6.1", b" chunked,"),
    ("a parameter", "RFC 9112 §7", b" chunked;q=1"),
    ("quotes around it", "RFC 9112 §7", b' "chunked"'),
    ("a vertical tab before it", "CVE-2019-18277 (HAProxy)", b" \x0bchunked"),
    ("a form feed before it", "CVE-2019-18277 (HAProxy)", b" \x0cchunked"),
    ("a NUL after it", "RFC 9110 §5.5", b" chunked\x00"),
    ("a no-break space before it", "RFC 9112 §7", b" \xa0chunked"),
    ("a long s in UTF-8", "CVE-2025-69224 (aiohttp)", b" chun\xe2\x84\xaaed"),
]
UNKNOWN_CODINGS: list[Variant] = [
    ("identity", "RFC 9112 §7", b" identity"),
    ("an unknown coding", "RFC 9112 §6.1", b" cow"),
    ("another coding before chunked", "RFC 9112 §6.1", b" gzip, chunked"),
    ("letters before it", "RFC 9112 §7", b" xchunked"),
    ("letters after it", "CVE-2019-16869 (Netty)", b" chunkedx"),
    ("an underscore in front", "RFC 9112 §7", b" _chunked"),
    (
        "another, then chunked",
        "CVE-2020-10109 (Twisted)",
        b" identity",
        b" chunked",
    ),
]
CASES: list[RequestCase] = [
    # -- one Content-Length
    forwarded("a length", "RFC 9112 §6.2", length(b"5"), HELLO),
    forwarded(
        "a length of 0",
        "RFC 9110 §8.6",
        raw(POST, HOST, b"Content-Length: 0"),
        raw(POST, HOST, b"Content-Length: 0"),
    ),
    forwarded(
        "no length is not a length of 0",
        "RFC 9112 §6.3",
        raw(POST, HOST),
        raw(POST, HOST),
    ),
    forwarded(
        "leading zeros are written anew", "RFC 9110 §8.6", length(b"0005"), HELLO
    ),
    forwarded("white space around it", "RFC 9112 §5", length(b" \t 5 \t"), HELLO),
    forwarded(
        "name in any case", "RFC 9110 §5.1", length(b"5", b"cOnTeNt-LeNgTh"), HELLO
    ),
    forwarded(
        "a GET with a body",
        "RFC 9110 §9.3.1",
        raw(b"GET /p HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello"),
        raw(b"GET /p HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello"),
    ),
    forwarded(
        "a DELETE with a body",
        "RFC 9110 §9.3.5",
        raw(b"DELETE /p HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello"),
        raw(b"DELETE /p HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello"),
    ),
    *[
        refused(name, source, length(value))
        for name, source, value in [
            ("an empty length", "CVE-2023-40225 (HAProxy)", b""),
            ("a plus sign", "CVE-2023-47627 (aiohttp), CVE-2021-32715 (hyper)", b"+5"),
            ("a minus sign", "RFC 9110 §8.6", b"-5"),
            ("minus nothing", "RFC 9110 §8.6", b"-0"),
            ("an underscore", "CVE-2023-47627 (aiohttp)", b"1_0"),
            ("hexadecimal", "CVE-2023-47627 (aiohttp)", b"0x5"),
            ("hexadecimal without 0x", "RFC 9110 §8.6", b"a"),
            ("octal", "RFC 9110 §8.6", b"0o5"),
            ("a fraction", "RFC 9110 §8.6", b"5.0"),
            ("an exponent", "RFC 9110 §8.6", b"5e0"),
            ("a space inside", "RFC 9110 §8.6", b"5 5"),
            ("a tab inside", "RFC 9110 §8.6", b"5\t5"),
            ("letters after it", "RFC 9110 §8.6", b"5x"),
            ("a semicolon after it", "RFC 9110 §8.6", b"5;5"),
            ("quotes around it", "RFC 9110 §8.6", b'"5"'),
            ("digits of another script", "CVE-2025-69224 (aiohttp)", b"\xd9\xa5"),
            ("superscript in Latin-1", "CVE-2025-69224 (aiohttp)", b"\xb2"),
            (
                "2^63",
                "RFC 9112 §6.3, GHSA-f9jp-856v-8642 (hyper)",
                b"9223372036854775808",
            ),
            ("2^64 + 5", "CVE-2021-21299 (hyper)", b"18446744073709551621"),
            ("2^32 in a thousand digits", "RFC 9110 §8.6", b"0" * 1000 + b"5"),
            ("a list that differs", "RFC 9112 §6.3", b"5, 6"),
            ("a list that differs in form", "RFC 9110 §8.6", b"5, 05"),
            ("a list with an empty member", "CVE-2023-40225 (HAProxy)", b"5,"),
            ("a list that begins empty", "CVE-2023-40225 (HAProxy)", b",5"),
            ("a list of nothing", "RFC 9110 §5.6.1", b","),
        ]
    ],
    # -- more than one
    forwarded("a list of equal lengths", "RFC 9110 §8.6", length(b"5, 5"), HELLO),
    forwarded(
        "two equal lengths become one",
        "RFC 9110 §8.6",
        raw(POST, HOST, b"Content-Length: 5", b"content-length: 5", body=b"hello"),
        HELLO,
    ),
    refused(
        "two different lengths",
        "RFC 9112 §6.3",
        raw(POST, HOST, b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    ),
    refused(
        "0 and a length",
        "RFC 9112 §6.3",
        raw(POST, HOST, b"Content-Length: 0", b"Content-Length: 5", body=b"hello"),
    ),
    refused(
        "a good and an empty length",
        "CVE-2023-40225 (HAProxy)",
        raw(POST, HOST, b"Content-Length: 5", b"Content-Length:", body=b"hello"),
    ),
    # -- chunked
    forwarded("chunked", "RFC 9112 §7.1", coding(b" chunked"), CHUNKED_HELLO),
    forwarded("chunked in any case", "RFC 9112 §7", coding(b" ChUnKeD"), CHUNKED_HELLO),
    forwarded(
        "white space around the coding",
        "RFC 9112 §5",
        coding(b"\t chunked \t"),
        CHUNKED_HELLO,
    ),
    *[refused(name, source, coding(*values)) for name, source, *values in BAD_CODINGS],
    *[
        refused(name, source, coding(*values), 501)
        for name, source, *values in UNKNOWN_CODINGS
    ],
    refused(
        "in an HTTP/1.0 request",
        "RFC 9112 §6.1",
        raw(
            b"POST /p HTTP/1.0",
            HOST,
            b"Connection: keep-alive",
            b"Transfer-Encoding: chunked",
            body=b"5\r\nhello\r\n0\r\n\r\n",
        ),
    ),
    # -- both
    refused(
        "a length and chunked",
        "RFC 9112 §6.1",
        raw(
            POST,
            HOST,
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            body=b"0\r\n\r\n",
        ),
    ),
    refused(
        "chunked and a length",
        "RFC 9112 §6.1",
        raw(
            POST,
            HOST,
            b"Transfer-Encoding: chunked",
            b"Content-Length: 5",
            body=b"0\r\n\r\n",
        ),
    ),
    refused(
        "a length and an unknown coding",
        "CVE-2019-20445 (Netty)",
        raw(POST, HOST, b"Content-Length: 5", b"Transfer-Encoding: x", body=b"hello"),
    ),
    refused(
        "a length, and a coding that Connection names",
        "CVE-2022-31813 (Apache)",
        raw(
            POST,
            HOST,
            b"Connection: Transfer-Encoding",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            body=b"0\r\n\r\n",
        ),
    ),
    # -- named by Connection
    forwarded(
        "a length that Connection names",
        "CVE-2022-31813 (Apache)",
        raw(
            POST,
            HOST,
            b"Connection: Content-Length",
            b"Content-Length: 5",
            body=b"hello",
        ),
        HELLO,
    ),
    forwarded(
        "a coding that Connection names",
        "CVE-2022-31813 (Apache)",
        raw(
            POST,
            HOST,
            b"Connection: Transfer-Encoding",
            b"Transfer-Encoding: chunked",
            body=b"5\r\nhello\r\n0\r\n\r\n",
        ),
        CHUNKED_HELLO,
    ),
    forwarded(
        "a Host that Connection names",
        "CVE-2022-31813 (Apache)",
        raw(b"GET /p HTTP/1.1", HOST, b"Connection: Host"),
        raw(b"GET /p HTTP/1.1", HOST),
    ),
]
