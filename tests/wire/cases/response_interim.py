"""Interim responses (1xx), and responses that have no body."""

from __future__ import annotations

from tests.wire.cases.model import (
    GET_1_0,
    HEAD,
    ResponseCase,
    bad_gateway,
    raw,
    relayed,
)

OK = b"HTTP/1.1 200 OK"
TWO = b"Content-Length: 2"
PLAIN = raw(OK, TWO, body=b"ok")
UPGRADE_UNASKED = raw(
    b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket"
)
HINTS = raw(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload")

CASES: list[ResponseCase] = [
    # -- interim responses
    relayed("103, then the response", "RFC 8297 §2", HINTS + PLAIN, HINTS + PLAIN),
    relayed(
        "100 and 103, then the response",
        "RFC 9110 §15.2",
        raw(b"HTTP/1.1 100 Continue") + HINTS + PLAIN,
        raw(b"HTTP/1.1 100 Continue") + HINTS + PLAIN,
    ),
    relayed(
        "an interim response that nobody knows",
        "RFC 9110 §15.2",
        raw(b"HTTP/1.1 199 X") + PLAIN,
        raw(b"HTTP/1.1 199 X") + PLAIN,
    ),
    relayed(
        "interim responses are not for HTTP/1.0",
        "RFC 9110 §15.2",
        HINTS + PLAIN,
        raw(OK, TWO, b"Connection: close", body=b"ok"),
        request=GET_1_0,
        closes=True,
    ),
    relayed(
        "an interim response has no framing",
        "RFC 9110 §8.6",
        raw(b"HTTP/1.1 103 Early Hints", b"Content-Length: 0", b"X: y") + PLAIN,
        raw(b"HTTP/1.1 103 Early Hints", b"X: y") + PLAIN,
    ),
    bad_gateway(
        "101 that nobody asked for", "CVE-2026-2833 (Pingora)", UPGRADE_UNASKED
    ),
    bad_gateway(
        "101 that nobody asked for, then a response",
        "CVE-2024-23326 (Envoy)",
        UPGRADE_UNASKED + PLAIN,
    ),
    ResponseCase(
        "101 that nobody asked for, after 103",
        "CVE-2026-2833 (Pingora)",
        HINTS + UPGRADE_UNASKED,
        received=HINTS,
        status=502,
        error="http_protocol_error",
    ),
    ResponseCase(
        "interim responses without end",
        "RFC 9110 §15.2",
        HINTS * 40 + PLAIN,
        received=HINTS * 32,
        status=502,
        error="http_protocol_error",
    ),
    # -- without a body
    relayed("204", "RFC 9110 §15.3.5", raw(b"HTTP/1.1 204 X"), raw(b"HTTP/1.1 204 X")),
    relayed(
        "204 with a length of 0",
        "RFC 9110 §8.6",
        raw(b"HTTP/1.1 204 X", b"Content-Length: 0"),
        raw(b"HTTP/1.1 204 X"),
    ),
    relayed(
        "304 with the length of what it is about",
        "RFC 9110 §8.6",
        raw(b"HTTP/1.1 304 X", b"Content-Length: 5"),
        raw(b"HTTP/1.1 304 X", b"Content-Length: 5"),
    ),
    relayed(
        "HEAD with a length",
        "RFC 9110 §9.3.2",
        raw(OK, b"Content-Length: 5"),
        raw(OK, b"Content-Length: 5"),
        request=HEAD,
    ),
    relayed(
        "HEAD with chunked",
        "RFC 9110 §9.3.2",
        raw(OK, b"Transfer-Encoding: chunked"),
        raw(OK),
        request=HEAD,
    ),
    relayed("HEAD with neither", "RFC 9110 §9.3.2", raw(OK), raw(OK), request=HEAD),
    relayed(
        "200 with a length of 0",
        "RFC 9112 §6.3",
        raw(OK, b"Content-Length: 0"),
        raw(OK, b"Content-Length: 0"),
    ),
]
