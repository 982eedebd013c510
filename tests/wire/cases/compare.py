"""Bytes without what the proxy adds to every message, so that they compare."""

from __future__ import annotations

ADDED_TO_REQUESTS = (
    b"accept-encoding",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-request-id",
)
ADDED_TO_RESPONSES = (b"date", b"via")


def without(head: bytes, names: tuple[bytes, ...]) -> bytes:
    """A head without the fields of those names; each was there once."""
    first, *fields = head.split(b"\r\n")
    added = [line for line in fields if line.partition(b":")[0].lower() in names]
    if not first.startswith(b"HTTP/1.1 1"):
        assert len(added) == len(names), f"added: {added}"
    return b"\r\n".join([first, *(line for line in fields if line not in added)])


def own_request(head: bytes) -> bytes:
    """A request head as the upstream sees it, without what is always added."""
    return without(head, ADDED_TO_REQUESTS)


def own_responses(data: bytes) -> bytes:
    """Responses as a client sees them, without what is always added."""
    heads = data.split(b"HTTP/1.1 ")
    whole = heads[0]
    for rest in heads[1:]:
        head, end, body = rest.partition(b"\r\n\r\n")
        whole += without(b"HTTP/1.1 " + head, ADDED_TO_RESPONSES) + end + body
    return whole
