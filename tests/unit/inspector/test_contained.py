"""What looks at exchanges may raise; what is looked at goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

from proxy.exchange.exchange import Exchange
from proxy.http1.grammar import Fields
from proxy.inspector.background_checks import BackgroundChecks
from proxy.inspector.exchange_history import ExchangeHistory
from proxy.inspector.own_response import OwnResponse
from proxy.inspector.peer_workers import owned
from proxy.observe.capture_buffer import CaptureBudget
from proxy.server.drain import Drain
from proxy.timeline import Timeline
from proxy.transport.capture import Capture, Side
from proxy.transport.client_connection import ClientConnection
from proxy.transport.flow import Feeder, Source
from proxy.transport.pipeline import Pipeline
from proxy.transport.relay import ResponseRelay
from proxy.transport.ticker import Ticker
from tests.conftest import InternalErrorLog, ManualClock
from tests.support.raw import turns


class Taker:
    """A sink that keeps what it gets."""

    feeder: Feeder | None = None
    blocked = False

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def send_piece(self, piece: bytes) -> None:
        self.taken.append(piece)

    def send_end(self, trailers: Fields) -> None:
        raise AssertionError


class Full:
    """A record that has no room."""

    def __init__(self) -> None:
        self.asked = 0

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        self.asked += 1
        raise MemoryError

    def sent(self, side: Side, now: float) -> None:
        pass

    def heartbeat(self, now: float, data: bytes) -> None:
        self.asked += 1
        raise MemoryError

    def over(self, now: float) -> None:
        pass


def test_a_record_that_raises_is_left_alone_and_the_pieces_pass(
    internal_errors: InternalErrorLog,
) -> None:
    taker, record = Taker(), Full()
    pipeline = Pipeline(cast("Source", None), taker)
    Capture(record, lambda: 0.0).attach(pipeline, "response")
    pipeline.first.send_piece(b"a")
    pipeline.first.send_piece(b"b")
    assert (taker.taken, record.asked) == ([b"a", b"b"], 1)
    assert len(internal_errors.told) == 1


def test_a_record_that_raises_at_a_heartbeat_is_left_alone_too(
    internal_errors: InternalErrorLog,
) -> None:
    record = Full()
    capture = Capture(record, lambda: 0.0)
    capture.heartbeat(b":\n")
    capture.heartbeat(b":\n")
    assert record.asked == 1
    assert len(internal_errors.told) == 1


class Slow(Full):
    """A record that takes its time to note a piece."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        self.clock.advance(1.0)


def test_what_a_record_takes_is_no_hold_of_the_piece(clock: ManualClock) -> None:
    timeline, taker = Timeline(clock(), b"a"), Taker()
    relay = ResponseRelay(
        cast("Source", None), taker, lambda error: None, timeline, clock
    )
    Capture(Slow(clock), clock).attach(relay, "response")
    relay.piece(b"a")
    assert taker.taken == [b"a"]
    assert timeline.longest_hold == 0.0


def test_a_listener_that_raises_hears_no_more_and_the_others_do(
    internal_errors: InternalErrorLog,
) -> None:
    heard: list[str] = []

    def bad() -> None:
        heard.append("bad")
        raise RuntimeError

    recording = CaptureBudget().record(Timeline(0.0, b"a"))
    recording.listen(bad)
    recording.listen(lambda: heard.append("good"))
    for _ in range(2):
        recording.piece("response", 0.0, 0.0, b"x")
    assert heard == ["bad", "good", "good"]
    assert len(internal_errors.told) == 1


class Broken(list[Exchange]):
    """Exchanges that cannot be walked."""

    looks = 0

    def __iter__(self) -> Iterator[Exchange]:
        self.looks += 1
        raise RuntimeError("no list")


async def test_a_watch_whose_look_failed_looks_again(
    internal_errors: InternalErrorLog,
) -> None:
    broken = Broken()
    watch = BackgroundChecks(ExchangeHistory(broken, Ticker(lambda: 0.0)), [object()])
    for looks in (1, 2):
        watch.stir()
        assert watch.timer is not None
        watch.timer.cancel()
        watch.begin()
        assert broken.looks == looks
    assert watch.timer is not None
    watch.timer.cancel()
    assert len(internal_errors.told) == 1


class Asked:
    """An answer that notes of what it crashed."""

    def __init__(self) -> None:
        self.on_end = None
        self.crashes: list[str] = []

    def crashed(self, place: str, error: Exception) -> None:
        self.crashes.append(repr(error))


async def test_an_answer_does_not_wait_for_a_task_that_raised() -> None:
    async def ask() -> None:
        raise ValueError("no JSON")

    asked = Asked()
    owned(cast("OwnResponse", asked), ask())
    await turns(3)
    assert asked.crashes == ["ValueError('no JSON')"]


class Client:
    """A connection that a drain finds open, and its exchange."""

    has_last_response = False

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault
        self.done: list[str] = []
        self.transport = self

    def act(self, what: str) -> bool:
        self.done.append(what)
        if self.fault is not None:
            raise self.fault
        return False

    def drain(self) -> None:
        self.act("drain")

    @property
    def client(self) -> object:
        return self

    @property
    def comes_back(self) -> bool:
        self.act("comes back?")
        return True

    @property
    def is_finishing(self) -> bool:
        return False

    def end_early(self) -> None:
        self.act("end early")

    def shut_down(self) -> bool:
        return self.act("shut down")

    def cut(self) -> None:
        self.act("cut")

    def crashed(self, place: str, error: Exception) -> None:
        self.done.append("crashed")

    @property
    def unsent_bytes(self) -> int:
        return 0

    def abort(self) -> None:
        self.done.append("abort")


async def test_a_drain_reaches_all_clients_whatever_one_of_them_raises() -> None:
    clients = [Client(None), Client(RuntimeError()), Client(None)]
    drain = Drain(
        cast("list[ClientConnection]", clients), lambda: clients, Ticker(lambda: 0.0)
    )
    run = asyncio.get_running_loop().create_task(drain.run(1.0))
    for _ in range(2):  # the time for all, the time for the ends of events
        await turns(3)
        drain.over.set()
    assert await run == 3  # each of them once
    asked = ["drain", "drain", "comes back?"]
    assert clients[0].done == [*asked, "end early", "shut down", "cut", "abort"]
    assert clients[1].done == [
        *("drain", "crashed", "drain", "crashed", "comes back?", "crashed"),
        *("shut down", "crashed", "cut", "crashed", "abort"),
    ]
    assert clients[2].done == [*asked, "shut down", "cut", "abort"]
    drain.ticker.stop()
