"""What a case is, and short ways to write one down.

A request case: what a client sends, and what reaches the upstream. A response
case: what an upstream sends, and what reaches the client. Bytes are compared
exactly, but for the fields that the proxy adds to every message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

End: TypeAlias = Literal["stays", "fin", "reset"]
# A name, a source, and the values or lines in which a case differs.
Variant: TypeAlias = tuple[str, str, *tuple[bytes, ...]]


def raw(*lines: bytes, body: bytes = b"") -> bytes:
    """Lines, ended by CRLF, an empty one after them, and a body."""
    return b"\r\n".join([*lines, b"", b""]) + body


# -- requests


@dataclass(frozen=True, slots=True)
class RequestCase:
    """`status` 0: it is forwarded, and the upstream sees exactly `seen`.

    Otherwise it is refused with that status, the connection closes, and no
    byte of it or of what follows reaches the upstream. A chunked body is
    compared by its content: the chunks are the proxy's own.
    """

    name: str
    source: str
    sent: bytes
    seen: bytes = b""
    status: int = 0
    closes: bool = False  # the client's connection, after the response


def refused(name: str, source: str, sent: bytes, status: int = 400) -> RequestCase:
    return RequestCase(name, source, sent, status=status)


def forwarded(
    name: str, source: str, sent: bytes, seen: bytes, *, closes: bool = False
) -> RequestCase:
    return RequestCase(name, source, sent, seen, closes=closes)


# -- responses

GET = raw(b"GET /first HTTP/1.1", b"Host: a")
HEAD = raw(b"HEAD /first HTTP/1.1", b"Host: a")
GET_1_0 = raw(b"GET /first HTTP/1.0", b"Host: a")


@dataclass(frozen=True, slots=True)
class ResponseCase:
    """`status` 0: `received` is exactly what the client gets of it.

    Otherwise the client gets an answer of the proxy with that status.
    `aborted`: the client is told, by the connection, that the response is not
    complete. `reused`: the upstream's connection serves the next request;
    otherwise it is closed, and the next request finds a new one. The last `extra`
    bytes of `sent` are more than the response.
    """

    name: str
    source: str
    sent: bytes
    then: End = "stays"
    request: bytes = GET
    received: bytes = b""
    status: int = 0
    aborted: bool = False
    closes: bool = False
    reused: bool = False
    error: str = ""  # RFC 9209 type of the failure
    extra: int = 0


def relayed(
    name: str,
    source: str,
    sent: bytes,
    received: bytes,
    *,
    request: bytes = GET,
    then: End = "stays",
    closes: bool = False,
    reused: bool = True,
    extra: bytes = b"",
) -> ResponseCase:
    """The whole response is delivered, and nothing of what comes after it."""
    return ResponseCase(
        name,
        source,
        sent + extra,
        then,
        request,
        received,
        closes=closes,
        reused=reused and then == "stays",
        extra=len(extra),
    )


def bad_gateway(
    name: str,
    source: str,
    sent: bytes,
    *,
    then: End = "stays",
    request: bytes = GET,
    error: str = "http_protocol_error",
) -> ResponseCase:
    """Nothing of it is delivered: 502."""
    return ResponseCase(name, source, sent, then, request, status=502, error=error)


def cut_off(
    name: str,
    source: str,
    sent: bytes,
    received: bytes,
    *,
    then: End = "stays",
    request: bytes = GET,
    error: str = "http_protocol_error",
) -> ResponseCase:
    """What was good is delivered, and then the client's connection breaks."""
    return ResponseCase(
        name, source, sent, then, request, received, aborted=True, error=error
    )
