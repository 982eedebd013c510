"""Requests and responses that many tests send."""

from __future__ import annotations

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_X = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
GET_NUMBER = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"  # more fields follow
STREAM = CHUNKED + b"\r\n"
EVENT_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
