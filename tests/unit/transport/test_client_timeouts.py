"""The clocks of a client, where sockets cannot be made to do what is needed."""

from __future__ import annotations

import asyncio
from typing import cast

from proxy.config.model import ServerOptions
from proxy.errors import ClientError, ClientStalled, ProxyError
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHandler
from proxy.transport.client_timeouts import State
from proxy.transport.ticker import Ticker
from tests.conftest import ManualClock


class Full:
    """A transport in which the same count of bytes waits, whenever one looks."""

    def get_write_buffer_size(self) -> int:
        return 65536

    def can_write_eof(self) -> bool:
        return True

    def get_extra_info(self, name: str) -> None:
        return None


class Waiting:
    """An exchange that notes how its client left."""

    def __init__(self) -> None:
        self.errors: list[ClientError] = []

    def client_left(self, error: ClientError) -> None:
        self.errors.append(error)

    def fail(self, error: ProxyError) -> None:
        raise AssertionError(error)

    def drain(self) -> None:
        raise AssertionError

    def shut_down(self) -> bool:
        raise AssertionError

    def cut(self) -> None:
        raise AssertionError

    def crashed(self, place: str, error: Exception) -> None:
        raise AssertionError(place) from error


async def test_a_buffer_that_is_as_full_as_before_may_have_been_emptied(
    clock: ManualClock,
) -> None:
    """Taken and filled up again between two looks: the client is not stalled."""
    ticker = Ticker(clock)
    client = ClientConnection(
        cast("ClientHandler", None), ticker, ServerOptions(write_timeout_seconds=30)
    )
    client.transport = cast("asyncio.Transport", Full())
    client.state = State.EXCHANGE
    client.exchange = exchange = Waiting()
    client.pause_writing()
    for _ in range(3):
        ticker.tick()
        clock.advance(29)
        ticker.tick()
        client.resume_writing()
        client.pause_writing()
    ticker.tick()
    assert exchange.errors == []
    clock.advance(30)
    ticker.tick()
    assert [type(error) for error in exchange.errors] == [ClientStalled]
    ticker.stop()
