"""The chunked coding: the same verdict however it is cut, as h11 reads it."""

from __future__ import annotations

import re

import h11

from proxy.http1.chunked import ChunkedBody

FRAMING = re.compile(rb"content-length|transfer-encoding|host", re.IGNORECASE)


def check(data: bytes) -> None:
    """The first byte says where it is cut; the rest is a chunked body."""
    if not data:
        return
    place, data = data[0], data[1:]
    whole = read([data])
    assert read([data[:place], data[place:]]) == whole
    assert (
        read([data[n : n + 1] for n in range(min(len(data), 300))] + [data[300:]])
        == whole
    )
    payload, complete, error, excess = whole
    assert not (complete and error)
    # What trailers say is not judged here: they are filtered, or dropped.
    if complete and not FRAMING.search(data):
        taken = data[: len(data) - len(excess)]
        assert read_by_h11(taken) == payload


def read(parts: list[bytes]) -> tuple[bytes, bool, bool, bytes]:
    """Payload, is it complete, is it broken, what follows."""
    body = ChunkedBody()
    payload = b""
    excess = b""
    for part in parts:
        if body.error is not None:
            break
        if body.complete:
            excess += part
            continue
        payload += body.feed(part) if part else b""
        excess += body.excess if body.complete else b""
    return payload, body.complete, body.error is not None, b"" if body.error else excess


def read_by_h11(data: bytes) -> bytes:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data
    )
    assert isinstance(connection.next_event(), h11.Request)
    payload = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
        payload += event.data
    assert connection.trailing_data == (b"", False)
    return payload
