"""Response bodies that end early, at each place, and those that do not end."""

from __future__ import annotations

from tests.wire.cases.model import (
    GET,
    GET_1_0,
    HEAD,
    ResponseCase,
    cut_off,
    raw,
    relayed,
)

OK = b"HTTP/1.1 200 OK"
TWO = b"Content-Length: 2"
CODED = b"Transfer-Encoding: chunked"
PLAIN = raw(OK, TWO, body=b"ok")
NONE = b"HTTP/1.1 204 No Content"
SAME = b"HTTP/1.1 304 Not Modified"
HINTS = raw(b"HTTP/1.1 103 Early Hints")
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
    # -- early ends of chunked
    *[
        cut_off(
            f"chunked, {name}, by {then}",
            "RFC 9112 §8, nginx: proxy_unfinished.t",
            chunked(sent),
            stream(got),
            then=then,
            error="http_response_incomplete",
        )
        for then in ("fin", "reset")
        for name, sent, got in [
            ("cut before the first chunk", b"", b""),
            ("cut in a size", b"2", b""),
            ("cut after a size", b"2\r\n", b""),
            ("cut in a chunk", b"2\r\no", b"1\r\no\r\n"),
            ("cut after a chunk's data", b"2\r\nok", b"2\r\nok\r\n"),
            ("cut in a chunk's end", b"2\r\nok\r", b"2\r\nok\r\n"),
            ("cut after a chunk", b"2\r\nok\r\n", b"2\r\nok\r\n"),
            ("cut in the last size", b"2\r\nok\r\n0", b"2\r\nok\r\n"),
            ("cut after the last size", b"2\r\nok\r\n0\r\n", b"2\r\nok\r\n"),
            ("cut in the last line", b"2\r\nok\r\n0\r\n\r", b"2\r\nok\r\n"),
            ("cut in a trailer", b"2\r\nok\r\n0\r\nX: ", b"2\r\nok\r\n"),
        ]
    ],
    # -- Content-Length
    *[
        cut_off(
            f"a length, {name}, by {then}",
            "RFC 9112 §8",
            raw(OK, b"Content-Length: 5", body=body),
            raw(OK, b"Content-Length: 5", body=body),
            then=then,
            request=request,
            error="http_response_incomplete",
        )
        for then in ("fin", "reset")
        for name, body, request in [
            ("cut before the body", b"", GET),
            ("cut in the body", b"hell", GET),
        ]
    ],
    cut_off(
        "a short body, to HTTP/1.0",
        "RFC 9112 §8",
        raw(OK, b"Content-Length: 5", body=b"hell"),
        raw(OK, b"Content-Length: 5", b"Connection: close", body=b"hell"),
        then="fin",
        request=GET_1_0,
        error="http_response_incomplete",
    ),
    # -- until the close
    relayed(
        "until the close",
        "RFC 9112 §6.3",
        raw(OK, body=b"ok"),
        stream(b"2\r\nok\r\n0\r\n\r\n"),
        then="fin",
    ),
    relayed(
        "until the close, of nothing",
        "RFC 9112 §6.3",
        raw(OK),
        stream(b"0\r\n\r\n"),
        then="fin",
    ),
    relayed(
        "until the close, in HTTP/1.0 with keep-alive",
        "RFC 9112 §6.3",
        raw(b"HTTP/1.0 200 OK", b"Connection: keep-alive", body=b"ok"),
        stream(b"2\r\nok\r\n0\r\n\r\n"),
        then="fin",
    ),
    relayed(
        "until the close, to HTTP/1.0",
        "RFC 9112 §6.3",
        raw(OK, body=b"ok"),
        until_close(b"ok"),
        then="fin",
        request=GET_1_0,
        closes=True,
    ),
    cut_off(
        "until a reset",
        "RFC 9112 §8",
        raw(OK, body=b"ok"),
        stream(b"2\r\nok\r\n"),
        then="reset",
        error="http_response_incomplete",
    ),
    cut_off(
        "until a reset, to HTTP/1.0",
        "RFC 9112 §8",
        raw(OK, body=b"ok"),
        until_close(b"ok"),
        then="reset",
        request=GET_1_0,
        error="http_response_incomplete",
    ),
    # -- too much: never the next response
    *[
        relayed(
            name,
            "RFC 9112 §9.2, nginx: proxy_extra_data.t",
            sent,
            received,
            request=request,
            reused=False,
            extra=extra,
        )
        for name, request, sent, received, extra in [
            ("a response after a length", GET, PLAIN, PLAIN, FORGED),
            ("one byte after a length", GET, PLAIN, PLAIN, b"x"),
            ("CRLF after a length", GET, PLAIN, PLAIN, b"\r\n"),
            ("an interim response after the final one", GET, PLAIN, PLAIN, HINTS),
            (
                "a response after the last chunk",
                GET,
                chunked(b"0\r\n\r\n"),
                stream(b"0\r\n\r\n"),
                FORGED,
            ),
            ("a body after HEAD", HEAD, raw(OK, TWO), raw(OK, TWO), b"ok"),
            ("a chunked body after HEAD", HEAD, raw(OK, CODED), raw(OK), b"0\r\n\r\n"),
            ("a body after 304", GET, raw(SAME, TWO), raw(SAME, TWO), b"ok"),
            ("a response after 304", GET, raw(SAME), raw(SAME), FORGED),
            ("a body after 204", GET, raw(NONE, TWO), raw(NONE), b"ok"),
            ("a 204 that announces a body", GET, raw(NONE, TWO), raw(NONE), b""),
            ("a 204 that announces chunks", GET, raw(NONE, CODED), raw(NONE), b""),
        ]
    ],
]
