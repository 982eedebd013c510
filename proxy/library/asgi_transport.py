"""What ASGI has no word for: to break a response off so that its client can tell.

An application that returns before its response is complete has the connection closed by
every server. That tells clients of HTTP/1.1, and not always others: to HTTP/1.0 the
close is the end of the body, and hypercorn leaves a stream of HTTP/2 open for ever. So
the connection is looked for where uvicorn and hypercorn have it, behind the methods
that they give to the application. Middleware that wraps those may end the response when
the application returns, or raises (Starlette's BaseHTTPMiddleware does both); a message
that nobody knows makes it fail instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, cast

from proxy.library.hosted_stream import EmbeddedStream
from proxy.transport.connection import reset_on_close

INTERNAL_ERROR = 2  # RFC 9113 §7
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class IncompleteResponse(Exception):
    """The upstream's response has broken off."""

    def __init__(self) -> None:
        super().__init__(
            "the response is not complete; this is raised so that no middleware or "
            "server ends it as if it were, and the reason is in the proxy's own log"
        )


def owner_of(method: object) -> Any:
    """Whose method it is; None of a function."""
    return getattr(method, "__self__", None)


def transport_of(receive: object, send: object) -> asyncio.Transport | None:
    """The connection of a request by HTTP/1, if it can be found."""
    uvicorn = getattr(owner_of(receive), "transport", None)
    protocol = owner_of(getattr(owner_of(send), "send", None))
    server = owner_of(getattr(protocol, "send", None))
    hypercorn = getattr(getattr(server, "writer", None), "transport", None)
    found = hypercorn if uvicorn is None else uvicorn
    known = all(hasattr(found, name) for name in ("abort", "get_extra_info"))
    return cast("asyncio.Transport", found) if known else None


def says_how_it_ended(receive: object) -> bool:
    """Is the code of `websocket.disconnect` the client's?

    hypercorn, which gives applications a queue's `get`, has 1006 for every end.
    """
    return not isinstance(owner_of(receive), asyncio.Queue)


def root_of_server(receive: object) -> str:
    """What the server has put before each path, though no client has asked for it.

    That is uvicorn with `--root-path`; hypercorn and granian tell the path as it came.
    """
    asked = owner_of(receive)
    protocol: object = asked
    if not hasattr(asked, "root_path"):  # by HTTP that is a cycle of the protocol
        transport = getattr(asked, "transport", None)
        find = getattr(transport, "get_protocol", None)
        protocol = None if find is None else find()
    # Behind middleware: the object whose method handles SIGTERM has the configuration.
    stops = owner_of(signal.getsignal(signal.SIGTERM))
    for each in (protocol, getattr(stops, "config", None)):
        root = getattr(each, "root_path", None)
        if isinstance(root, str):
            return root
    return ""


async def reset_stream(send: object) -> bool:
    """Reset a stream of HTTP/2, if it is hypercorn's and can be found."""
    stream = owner_of(send)
    protocol = owner_of(getattr(stream, "send", None))
    reset = getattr(getattr(protocol, "connection", None), "reset_stream", None)
    flush = getattr(protocol, "_flush", None)
    if reset is None or flush is None:
        return False
    reset(stream.stream_id, error_code=INTERNAL_ERROR)
    await flush()
    return True


async def fail(send: Send, stream: EmbeddedStream) -> None:
    """Have everything between here and the client fail.

    Raises:
        IncompleteResponse.
    """
    if not stream.aborted:  # then it would wait with what waits already
        with contextlib.suppress(Exception):
            await send({"type": "http.response.incomplete"})
    raise IncompleteResponse


async def let_client_see(
    stream: EmbeddedStream, receive: object, send: Send, *, http2: bool
) -> None:
    """The response of a stream is not complete, and the application is to return.

    Raises:
        IncompleteResponse: nothing else can be said to what calls it.
    """
    if http2:
        if not await reset_stream(send):
            await fail(send, stream)
        return
    transport = transport_of(receive, send)
    if transport is None:
        await fail(send, stream)
        return
    aborts = stream.aborted  # the server would wait for a client that does not read
    if stream.request is None or stream.request.minor == 0:
        reset_on_close(transport)
        # hypercorn sends FIN before it closes; uvicorn sends what waits, and resets.
        aborts = aborts or transport.get_write_buffer_size() == 0
    if aborts:
        transport.abort()
