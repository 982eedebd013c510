"""What the exchange of a client hears of it: that it left, is late or does not read.

The same whether the client is a connection of HTTP/1.1, a stream of HTTP/2 or a request
that a host application hands over. Nothing of this is called for each piece.
"""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ClientError, ClientStalled, RequestTimeout
from proxy.transport.client_stream import Served


class ServedClient(Protocol):
    """Whose request an exchange serves, while there is one."""

    exchange: Served | None


class SendingClient(ServedClient, Protocol):
    """One that sends the body of its request."""

    heard: bool  # anything of the body, since the last look
    body_deadline: float


def tell_left(client: ServedClient, error: ClientError) -> None:
    """The client is gone, or not waited for; the exchange hears of it once."""
    exchange, client.exchange = client.exchange, None  # what raises is told to it
    if exchange is not None:
        exchange.client_left(error)


def tell_crashed(client: ServedClient, place: str, error: Exception) -> bool:
    """Code of the proxy raised; False: there is no exchange that ends by that."""
    exchange = client.exchange
    if exchange is None:
        return False
    exchange.crashed(place, error)
    return True


def check_body(
    client: SendingClient, now: float, limit: float, *, its_turn: bool
) -> None:
    """Fail the exchange of a client that sent no part of its body for `limit` s.

    `its_turn`: does the other side read what it sends?
    """
    if client.heard or not its_turn:
        client.heard = False
        client.body_deadline = now + limit
    elif now >= client.body_deadline and client.exchange is not None:
        client.exchange.fail(
            RequestTimeout(
                f"the client sent no part of its request body for {limit:g} s "
                "(body_timeout_seconds)"
            )
        )


def stalled(waiting: int, limit: float) -> ClientStalled:
    """The client does not read."""
    return ClientStalled(
        f"the client read none of {waiting} bytes for {limit:g} s "
        "(write_timeout_seconds)"
    )
