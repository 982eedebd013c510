"""Message heads for tests, written as their lines."""

from __future__ import annotations

from proxy.http1.head import (
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)


def request_bytes(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    """A whole request head, as it came; the lines without their CRLF."""
    return b"".join(line + b"\r\n" for line in (start, *lines)) + b"\r\n"


def response_bytes(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A whole response head, as it came; the lines without their CRLF."""
    return request_bytes(*lines, start=start)


def request(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> RequestHead:
    """A request head, read."""
    return parse_request_head(request_bytes(*lines, start=start))


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    """A response head, read."""
    return parse_response_head(response_bytes(*lines, start=start))
