"""Requests and responses that many tests send."""

from __future__ import annotations

import re

from tests.support.raw import Peer

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

REQUEST_ID = re.compile(rb"\r\nX-Request-Id: [0-9a-z]{7,12}-[0-9a-f]+(?=\r\n)")


def without_id(head: bytes) -> bytes:
    """The head of a request to an upstream without the id that the proxy has made."""
    rest, count = REQUEST_ID.subn(b"", head)
    assert count == 1
    return rest


def lines_without_id(head: bytes) -> list[bytes]:
    """The lines of that."""
    return without_id(head).split(b"\r\n")[:-2]


def id_of(server: Peer) -> str:
    """The id of the request whose head an upstream has read."""
    found = REQUEST_ID.search(server.head)
    assert found is not None
    return found[0].partition(b": ")[2].decode()
