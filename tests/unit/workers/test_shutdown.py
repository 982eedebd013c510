"""The end of all workers: what they are ordered, at each signal and report."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config.load import from_routes
from proxy.process.workers import shutdown as module
from proxy.process.workers.channel import (
    AllEnded,
    Cut,
    Leave,
    Message,
    OthersUnderWay,
    Stop,
)
from proxy.process.workers.shutdown import Shutdown
from tests.conftest import ManualClock


class Child:
    """A worker, and the orders that it has got."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.orders: list[Message] = []
        self.killed = False

    def tell(self, order: Message) -> None:
        self.orders.append(order)

    def kill(self) -> None:
        self.killed = True

    def new(self) -> list[Message]:
        """The orders since the last look."""
        orders, self.orders = self.orders, []
        return orders


class Whole:
    """Two workers, and what ends them."""

    def __init__(self, delay: float, clock: ManualClock) -> None:
        self.clock = clock
        self.children = [Child(0), Child(1)]
        self.closed_ports: list[str] = []
        self.given_up: list[int] = []
        self.given_up_beside: list[int] = []
        config = from_routes(
            {"/": "http://h:1"},
            {"server.drain_delay_seconds": delay, "server.drain_seconds": 60.0},
        )
        port = SimpleNamespace(
            close=lambda: self.closed_ports.append("port"),
            give_up=self.given_up.append,
        )
        further = SimpleNamespace(
            close=lambda: self.closed_ports.append("further"),
            give_up=self.given_up_beside.append,
        )
        workers: Any = SimpleNamespace(
            config=config, port=port, further=further, living=self.children
        )
        self.shutdown = Shutdown(workers)

    @property
    def closed(self) -> bool:
        """Are all ports?"""
        return {*self.closed_ports} == {"port", "further"}

    def child(self, number: int) -> Any:
        return self.children[number]

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.shutdown.check(self.clock())

    def new(self) -> list[list[Message]]:
        return [child.new() for child in self.children]


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    monkeypatch.setattr(module, "monotonic", clock)


def test_all_leave_and_then_drain_in_the_same_moment(clock: ManualClock) -> None:
    whole = Whole(10.0, clock)
    whole.shutdown.stop(signal.SIGTERM)
    assert whole.new() == [[Leave(10.0)]] * 2
    assert whole.shutdown.due == clock() + 10
    whole.pass_time(9.5)
    assert (whole.new(), whole.closed) == ([[], []], False)
    whole.pass_time(0.5)
    assert (whole.new(), whole.closed) == ([[Stop()]] * 2, True)
    whole.pass_time(60)
    assert not whole.child(0).killed
    whole.pass_time(10)
    assert whole.child(0).killed


def test_without_a_delay_all_drain_at_once(clock: ManualClock) -> None:
    whole = Whole(0.0, clock)
    whole.shutdown.stop(signal.SIGTERM)
    assert (whole.new(), whole.closed) == ([[Stop()]] * 2, True)


def test_the_second_signal_ends_the_delay_and_the_third_all(clock: ManualClock) -> None:
    whole = Whole(10.0, clock)
    whole.shutdown.stop(signal.SIGTERM)
    whole.new()
    whole.shutdown.stop(signal.SIGTERM)
    assert whole.new() == [[Stop()]] * 2
    assert whole.shutdown.status() == 0
    whole.shutdown.stop(signal.SIGINT)
    assert whole.new() == [[Cut()]] * 2
    assert whole.shutdown.status() == 130


@pytest.mark.parametrize("delay", [0.0, 10.0])
def test_the_first_signal_after_a_client_has_asked_is_none_of_haste(
    clock: ManualClock, delay: float
) -> None:
    whole = Whole(delay, clock)
    first = [Leave(delay)] if delay else [Stop()]
    whole.shutdown.ask(whole.child(0))
    assert whole.new() == [[*first, OthersUnderWay(0, all=False)], first]
    whole.shutdown.stop(signal.SIGTERM)
    assert whole.new() == [[], []]
    whole.shutdown.stop(signal.SIGTERM)
    assert whole.new() == [[Stop() if delay else Cut()]] * 2


def test_a_client_that_asks_later_watches_what_a_signal_has_begun(
    clock: ManualClock,
) -> None:
    whole = Whole(10.0, clock)
    whole.shutdown.stop(signal.SIGTERM)
    whole.new()
    whole.shutdown.ask(whole.child(1))
    assert whole.new() == [[], [OthersUnderWay(0, all=False)]]
    whole.shutdown.stop(signal.SIGTERM)  # the second one
    assert whole.new() == [[Stop()]] * 2


def test_who_watches_is_told_of_the_others_and_of_the_end(clock: ManualClock) -> None:
    whole = Whole(0.0, clock)
    whole.shutdown.ask(whole.child(0))
    whole.new()
    whole.shutdown.runs(whole.child(0), 3)
    assert whole.new() == [[OthersUnderWay(0, all=False)], []]
    whole.shutdown.runs(whole.child(1), 2)
    assert whole.new() == [[OthersUnderWay(2, all=True)], []]
    whole.shutdown.end(whole.child(0), 1)
    assert whole.new() == [[OthersUnderWay(2, all=True)], []]
    whole.shutdown.end(whole.child(1), 4)
    assert whole.new() == [[OthersUnderWay(0, all=True), AllEnded(5)], []]


def test_who_watches_knows_all_without_telling_of_itself(clock: ManualClock) -> None:
    """And without a worker that has ended, or died, before it could tell."""
    whole = Whole(0.0, clock)
    whole.children.append(Child(2))
    whole.children.append(Child(3))
    whole.shutdown.ask(whole.child(0))
    whole.new()
    whole.shutdown.runs(whole.child(1), 2)
    assert whole.child(0).new() == [OthersUnderWay(2, all=False)]
    whole.shutdown.end(whole.child(2), 0)
    assert whole.child(0).new() == [OthersUnderWay(2, all=False)]
    dead = whole.children.pop()
    whole.shutdown.buried(dead, signal.SIGKILL, "killed")  # type: ignore[arg-type]
    assert whole.child(0).new() == [OthersUnderWay(2, all=True)]


def test_a_worker_that_dies_is_waited_for_no_longer(clock: ManualClock) -> None:
    whole = Whole(0.0, clock)
    whole.shutdown.ask(whole.child(0))
    whole.shutdown.end(whole.child(0), 0)
    whole.new()
    dead = whole.children.pop()
    whole.shutdown.buried(dead, signal.SIGKILL, "killed")  # type: ignore[arg-type]
    assert whole.new() == [[OthersUnderWay(0, all=True), AllEnded(0)]]
    assert whole.given_up == []
    assert whole.given_up_beside == []


def test_in_the_delay_nobody_waits_for_a_worker_that_has_died(
    clock: ManualClock,
) -> None:
    whole = Whole(10.0, clock)
    whole.shutdown.stop(signal.SIGTERM)
    dead = whole.children.pop()
    whole.shutdown.buried(dead, signal.SIGKILL, "killed")  # type: ignore[arg-type]
    assert whole.given_up == [1]
    assert whole.given_up_beside == [1]
    assert whole.shutdown.status() == 3
