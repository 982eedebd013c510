"""What an exchange hears of its client, whichever of the three it is."""

from __future__ import annotations

import pytest

from proxy.errors import ClientDisconnected, ClientError, ProxyError
from proxy.transport.client_stream import Served
from proxy.transport.served_client import (
    check_body,
    stalled,
    tell_crashed,
    tell_left,
)


class Exchange:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def client_left(self, error: ClientError) -> None:
        self.heard.append(str(error))

    def fail(self, error: ProxyError) -> None:
        self.heard.append(str(error))

    def crashed(self, place: str, error: Exception) -> None:
        self.heard.append((place, error))


class Client:
    def __init__(self, exchange: Served | None) -> None:
        self.exchange = exchange
        self.heard = True
        self.body_deadline = 0.0


def test_an_exchange_hears_once_that_its_client_has_left() -> None:
    exchange = Exchange()
    client = Client(exchange)
    for _ in range(2):
        tell_left(client, ClientDisconnected("gone"))
    tell_left(client, stalled(5, 1.5))
    assert exchange.heard == ["gone"]
    assert client.exchange is None


def test_what_raises_in_an_exchange_finds_its_client_without_one() -> None:
    class Raising(Exchange):
        def client_left(self, error: ClientError) -> None:
            raise RuntimeError("out of order")

    client = Client(Raising())
    with pytest.raises(RuntimeError):
        tell_left(client, ClientDisconnected("gone"))
    assert client.exchange is None


def test_an_exchange_ends_by_a_fault_of_ours_and_stays_its_clients() -> None:
    exchange, fault = Exchange(), ValueError()
    client = Client(exchange)
    assert tell_crashed(client, "reading", fault)
    assert exchange.heard == [("reading", fault)]
    assert client.exchange is exchange
    assert not tell_crashed(Client(None), "reading", fault)


def test_a_body_is_late_only_where_it_is_the_clients_turn() -> None:
    exchange = Exchange()
    client = Client(exchange)
    check_body(client, 0, 10, its_turn=True)  # it was heard: the clock begins
    check_body(client, 9.9, 10, its_turn=True)
    check_body(client, 10, 10, its_turn=False)  # nobody reads it
    check_body(client, 19.9, 10, its_turn=True)
    assert exchange.heard == []
    check_body(client, 20, 10, its_turn=True)
    assert exchange.heard == [
        "the client sent no part of its request body for 10 s (body_timeout_seconds)"
    ]
    check_body(Client(None), 99, 10, its_turn=True)


def test_it_is_said_what_a_client_has_not_read() -> None:
    assert str(stalled(5, 1.5)) == (
        "the client read none of 5 bytes for 1.5 s (write_timeout_seconds)"
    )
