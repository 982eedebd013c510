"""Streams that are kept: what their tests ask, and how they read."""

from __future__ import annotations

import re

from tests.support.messages import CHUNKED
from tests.support.raw import Peer

EVENTS = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\n%b\r\n"  # path, fields
)
EVENT_HEAD = CHUNKED + b"Content-Type: text/event-stream\r\n%b\r\n"
NDJSON_HEAD = CHUNKED + b"Content-Type: application/x-ndjson\r\n\r\n"
OUR_ID = re.compile(rb"\d+-[0-9a-f]{32}")


def ask(path: bytes = b"/", **fields: str) -> bytes:
    """A request as an EventSource sends it; `_` in a name is a hyphen."""
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return EVENTS % (path, lines.encode())


def post(path: bytes, body: bytes, **fields: str) -> bytes:
    """A POST of JSON."""
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return (
        b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n%b\r\n%b" % (path, len(body), lines.encode(), body)
    )


def field(head: bytes, name: bytes) -> bytes | None:
    """The value of a field of a head, if it is there."""
    found = re.search(rb"(?im)^%b:[ \t]*(.*?)\r$" % re.escape(name), head)
    return found[1] if found else None


def stream_id(client: Peer) -> bytes:
    """The ID of the stream that a client reads, whose head it has read."""
    found = field(client.head, b"stream-id")
    assert found is not None
    assert OUR_ID.fullmatch(found)
    return found


async def read_chunks(client: Peer, size: int) -> bytes:
    """The payload of chunks, of exactly so many bytes in all."""
    data = b""
    while len(data) < size:
        chunk = await client.read_chunk()
        assert chunk, f"the stream ended after {data!r}"
        data += chunk
    assert len(data) == size, data
    return data
