"""Heads: nothing raises but our own errors, and what is taken is unambiguous.

A head that was taken is written anew from what was read in it. Read again, it
must be the same; and h11, another strict parser, must read the same in it.
"""

from __future__ import annotations

import contextlib

import h11

from proxy.errors import ProxyError
from proxy.http1.grammar import END_OF_HEAD
from proxy.http1.head import (
    Head,
    check_incomplete_request,
    parse_request_head,
    parse_response_head,
)
from proxy.http1.head_text import head_bytes


def check(data: bytes) -> None:
    """Read one head of each kind at the start of `data`."""
    stop = data.find(END_OF_HEAD)
    if stop < 0:
        with contextlib.suppress(ProxyError):
            check_incomplete_request(data, len(data) // 2)
        return
    whole = data[: stop + 4]
    try:
        request = parse_request_head(whole)
    except ProxyError:
        pass
    else:
        for cut in (len(whole) // 3, len(whole) - 1):  # every beginning was acceptable
            check_incomplete_request(whole[:cut], 0)
        line = b"%b %b HTTP/1.%d" % (request.method, request.target, request.minor)
        again = parse_request_head(head_bytes(line, request.fields))
        assert (again.method, again.target) == (request.method, request.target)
        same(request, again)
        check_with_h11(line, request)
    try:
        response = parse_response_head(whole)
    except ProxyError:
        return
    line = b"HTTP/1.%d %d %b" % (response.minor, response.status, response.reason)
    same(response, parse_response_head(head_bytes(line, response.fields)))


def same(one: Head, other: Head) -> None:
    assert one.fields == other.fields
    assert one.index == other.index
    assert one.minor == other.minor


def check_with_h11(line: bytes, head: Head) -> None:
    """h11 reads the same fields; it knows HTTP/1.1 in ASCII, with one Host."""
    fields = [f for f in head.fields if f[0].lower() not in SEEN_BY_H11]
    text = head_bytes(in_ascii(line)[:-1] + b"1", [(b"Host", b"a"), *fields])
    event = h11_request(text)
    assert [(name, value) for name, value in event.headers][1:] == [
        (name.lower(), value) for name, value in fields
    ]


# What h11 has rules of its own for.
SEEN_BY_H11 = (b"host", b"content-length", b"transfer-encoding")


def in_ascii(line: bytes) -> bytes:
    return bytes(byte if byte < 0x80 else 0x2E for byte in line)


def h11_request(text: bytes) -> h11.Request:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(text)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event
