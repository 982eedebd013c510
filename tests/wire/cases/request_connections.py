"""Versions, persistence, Expect and upgrades, as requests ask for them."""

from __future__ import annotations

from tests.wire.cases.model import RequestCase, forwarded, raw, refused

HOST = b"Host: a"
SEEN = raw(b"GET /p HTTP/1.1", HOST)


def get(version: bytes, *fields: bytes) -> bytes:
    return raw(b"GET /p " + version, HOST, *fields)


CASES: list[RequestCase] = [
    # -- persistence (after the case another request follows)
    forwarded("HTTP/1.1 stays", "RFC 9112 §9.3", get(b"HTTP/1.1"), SEEN),
    forwarded(
        "HTTP/1.1 with close",
        "RFC 9112 §9.6",
        get(b"HTTP/1.1", b"Connection: close"),
        SEEN,
        closes=True,
    ),
    forwarded(
        "close in any case and company",
        "RFC 9110 §7.6.1",
        get(b"HTTP/1.1", b"Connection: x, ClOsE , y"),
        SEEN,
        closes=True,
    ),
    forwarded(
        "close beside keep-alive",
        "RFC 9112 §9.3",
        get(b"HTTP/1.1", b"Connection: keep-alive", b"Connection: close"),
        SEEN,
        closes=True,
    ),
    forwarded("HTTP/1.0 closes", "RFC 9112 §9.3", get(b"HTTP/1.0"), SEEN, closes=True),
    forwarded(
        "HTTP/1.0 with keep-alive",
        "RFC 9112 §9.3",
        get(b"HTTP/1.0", b"Connection: Keep-Alive"),
        SEEN,
    ),
    forwarded("HTTP/1.9 is read as HTTP/1.1", "RFC 9110 §2.5", get(b"HTTP/1.9"), SEEN),
    forwarded(
        "HTTP/1.0 with a body",
        "RFC 9112 §6.3",
        raw(b"POST /p HTTP/1.0", HOST, b"Content-Length: 5", body=b"hello"),
        raw(b"POST /p HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello"),
        closes=True,
    ),
    refused(
        "HTTP/1.0 with an empty Host",
        "RFC 9110 §4.2.1",
        raw(b"GET /p HTTP/1.0", b"Host:"),
    ),
    # -- Expect
    forwarded(
        "Expect with the body already there",
        "RFC 9110 §10.1.1",
        raw(
            b"POST /p HTTP/1.1",
            HOST,
            b"Expect: 100-continue",
            b"Content-Length: 5",
            body=b"hello",
        ),
        raw(
            b"POST /p HTTP/1.1",
            HOST,
            b"Expect: 100-continue",
            b"Content-Length: 5",
            body=b"hello",
        ),
    ),
    forwarded(
        "an expectation that nobody knows is the upstream's to refuse",
        "RFC 9110 §10.1.1",
        get(b"HTTP/1.1", b"Expect: 200-ok"),
        raw(b"GET /p HTTP/1.1", HOST, b"Expect: 200-ok"),
    ),
    # -- upgrades, on a route that tunnels none
    forwarded(
        "an upgrade that is not tunnelled is plain HTTP",
        "RFC 9110 §7.8",
        get(b"HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
        SEEN,
    ),
    forwarded(
        "an upgrade in HTTP/1.0 is ignored",
        "RFC 9110 §7.8",
        get(b"HTTP/1.0", b"Connection: Upgrade, keep-alive", b"Upgrade: websocket"),
        SEEN,
    ),
    # -- a body that looks like the next request
    forwarded(
        "a request inside Content-Length",
        "RFC 9112 §11.2",
        raw(
            b"POST /p HTTP/1.1",
            HOST,
            b"Content-Length: 29",
            body=b"GET /inside HTTP/1.1\r\nHost: a",
        ),
        raw(
            b"POST /p HTTP/1.1",
            HOST,
            b"Content-Length: 29",
            body=b"GET /inside HTTP/1.1\r\nHost: a",
        ),
    ),
    forwarded(
        "an empty line after a body",
        "RFC 9112 §2.2",
        raw(b"POST /p HTTP/1.1", HOST, b"Content-Length: 2", body=b"hi\r\n"),
        raw(b"POST /p HTTP/1.1", HOST, b"Content-Length: 2", body=b"hi"),
    ),
]
