"""Reloading by a supervisor: workers that answer, and workers that do not."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.config.load import from_routes
from proxy.config.model import Config
from proxy.observe.config_reloads import ConfigReloads
from proxy.process.reload import POLL_SECONDS
from proxy.process.workers.channel import (
    Channel,
    Message,
    Moved,
    Reload,
    ReloadEnded,
    channels,
)
from proxy.process.workers.further_ports import FurtherPorts
from proxy.process.workers.listen_sockets import SharedPort
from proxy.process.workers.worker_process import WorkerProcess
from proxy.process.workers.worker_reload import ANSWER_SECONDS, WorkerReload
from proxy.server.admin_sockets import AdminSockets
from proxy.server.listener import TLS
from tests.conftest import ManualClock


def routes(*prefixes: str) -> Config:
    """A configuration with these routes."""
    return from_routes(dict.fromkeys(prefixes, "http://h:1"), {"server.workers": "2"})


class TwoWorkers:
    """Two workers as their supervisor has them; the test is at the other ends."""

    def __init__(self, port: SharedPort) -> None:
        self.config = routes("/a")
        self.port = port
        self.tls: TLS = {}
        self.admin: AdminSockets | None = None
        self.further = FurtherPorts(Config(), 2)
        self.reloads = ConfigReloads()
        self.results: list[bool] = []  # of reloads, as both were told
        self.children = [WorkerProcess(0), WorkerProcess(1)]
        self.ends: list[Channel] = []
        for child in self.children:
            child.pid = 1000 + child.number
            child.channel, end = channels()
            self.ends.append(end)

    @property
    def living(self) -> list[WorkerProcess]:
        return self.children

    def received(self) -> list[list[type]]:
        """What each worker was told; its sockets are closed."""
        told = []
        for end in self.ends:
            end.sock.setblocking(False)
            arrivals = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    arrivals += end.receive()
            for _, sockets in arrivals:
                for each in sockets:
                    each.close()
            told.append(self.but_results([order for order, _ in arrivals]))
        return [[type(order) for order in orders] for orders in told]

    def but_results(self, orders: list[Message]) -> list[Message]:
        """What is to be done; how reloads went is in `results`."""
        ended = [each for each in orders if isinstance(each, ReloadEnded)]
        self.results += [each.succeeded for each in ended]
        return [each for each in orders if not isinstance(each, ReloadEnded)]

    def ordered(self) -> list[list[str]]:
        """The routes of what each worker was told to serve by."""
        found = []
        for end in self.ends:
            while not (orders := self.but_results([each for each, _ in end.receive()])):
                pass
            (order,) = orders
            assert isinstance(order, Reload)
            found.append([*order.config.routes])
        return found


@pytest.fixture
def workers() -> Iterator[TwoWorkers]:
    port = SharedPort(from_routes({"/": "http://h:1"}, {"server.port": 0}).server, 2)
    two = TwoWorkers(port)
    yield two
    port.close()
    for child, end in zip(two.children, two.ends, strict=True):
        end.close()
        child.hear()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "unbuffered")
    return caplog


def test_a_reload_is_told_when_all_have_answered(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    reloader = WorkerReload(workers, lambda: routes("/b"), clock=clock)
    reloader.ask()
    assert workers.ordered() == [["/b"], ["/b"]]
    reloader.answered(workers.children[0], ())
    assert log.messages == []
    reloader.answered(workers.children[1], ())
    assert log.messages == ["configuration reloaded: route /a removed; route /b added"]


def test_a_worker_that_is_stuck_is_told_and_delays_no_later_reload_for_ever(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    wanted = iter(["/b", "/c"])
    reloader = WorkerReload(workers, lambda: routes(next(wanted)), clock=clock)
    reloader.ask()
    workers.ordered()
    reloader.answered(workers.children[0], ())
    reloader.ask()  # while worker 1 owes an answer
    assert reloader.due == [clock.now + ANSWER_SECONDS]
    clock.advance(ANSWER_SECONDS)
    reloader.on_time(clock.now)
    assert log.messages == [
        "worker 1 (process 1001) has not reloaded within 10 s; if it does not "
        "respond at all, kill it, and a replacement starts",
        "configuration reloaded: route /a removed; route /b added",
    ]
    assert workers.ordered() == [["/c"], ["/c"]]


def test_a_file_that_has_changed_since_it_was_read_is_read_again(
    workers: TwoWorkers, clock: ManualClock, tmp_path: Path
) -> None:
    """Also where that was before the first look."""
    path = tmp_path / "config.toml"
    path.write_text("one")
    reloader = WorkerReload(workers, lambda: routes("/b"), path, clock)
    path.write_text("another")
    os.utime(path, ns=(1, 1))
    for _ in range(2):  # it has to be at rest
        assert reloader.due == [clock.now + POLL_SECONDS]
        clock.advance(POLL_SECONDS)
        reloader.on_time(clock.now)
    assert workers.ordered() == [["/b"], ["/b"]]


def test_what_one_worker_cannot_serve_by_no_worker_does(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    wanted = iter(["/b", "/c"])
    reloader = WorkerReload(workers, lambda: routes(next(wanted)), clock=clock)
    reloader.ask()
    assert workers.ordered() == [["/b"], ["/b"]]
    reloader.answered(workers.children[0], ["[x] y: broken"])
    assert log.messages == []
    reloader.ask()  # meanwhile
    reloader.answered(workers.children[1], ())
    assert log.messages == [
        "[x] y: broken",
        "configuration rejected; the previous one remains active",
    ]
    assert [*workers.config.routes] == ["/a"]  # by which the next to start serves
    ((order, _),) = workers.ends[1].receive()
    assert isinstance(order, Reload)
    assert [*order.config.routes] == ["/a"]
    assert reloader.waiting == {1}
    reloader.answered(workers.children[1], ())
    assert workers.ordered() == [["/c"], ["/c"]]
    assert workers.results == [False, False]
    for child in workers.children:
        reloader.answered(child, ())
    assert workers.received() == [[], []]
    assert workers.results[2:] == [True, True]
    assert log.messages[2:] == [
        "configuration reloaded: route /a removed; route /c added"
    ]


def test_a_file_with_another_content_is_named_by_the_reload_that_holds(
    workers: TwoWorkers,
    log: pytest.LogCaptureFixture,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    """What a refused reload has read is news to the next one."""
    file = tmp_path / "ca.pem"
    file.write_text("one")
    config = workers.config
    route = replace(config.routes["/a"], ca_file=str(file))
    workers.config = replace(config, routes={"/a": route})
    reloader = WorkerReload(workers, lambda: workers.config, clock=clock)
    file.write_text("another")
    for faults in (["[x] y: broken"], []):
        reloader.ask()
        while reloader.waiting:  # also those that go back
            for child in workers.children:
                reloader.answered(child, faults)
    assert log.messages[-1] == (
        "configuration reloaded: route /a changed (content of ca_file)"
    )


def test_a_port_that_no_worker_takes_is_let_go_and_the_one_before_kept(
    workers: TwoWorkers, clock: ManualClock
) -> None:
    old = workers.port
    moved = from_routes({"/b": "http://h:1"}, {"server.workers": "2", "server.port": 0})
    reloader = WorkerReload(workers, lambda: moved, clock=clock)
    reloader.ask()
    new = workers.port.port
    assert new != old.port
    for end in workers.ends:
        ((_, sockets),) = end.receive()
        for each in sockets:
            each.close()
    for child in workers.children:
        reloader.answered(child, ["[x] y: broken"])
    assert workers.port is old
    socket.create_connection(("127.0.0.1", old.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", new))


def test_a_worker_that_died_has_refused_nothing_in_its_next_life(
    workers: TwoWorkers, clock: ManualClock
) -> None:
    """The one in its place began with what has to be taken back."""
    reloader = WorkerReload(workers, lambda: routes("/b"), clock=clock)
    reloader.ask()
    workers.ordered()
    reloader.answered(workers.children[0], ["[x] y: broken"])
    reloader.answered(workers.children[0], ())  # it is buried
    reloader.answered(workers.children[1], ())
    assert workers.ordered() == [["/a"], ["/a"]]


def test_a_fault_of_ours_leaves_the_workers_as_they_were(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    def read() -> Config:
        raise RuntimeError("never seen before")

    reloader = WorkerReload(workers, read, clock=clock)
    reloader.ask()
    assert log.messages == [
        "internal error in a reload",
        "the configuration cannot be read: RuntimeError: never seen before",
        "configuration rejected; the previous one remains active",
    ]
    assert [*workers.config.routes] == ["/a"]


@pytest.mark.parametrize("works", [True, False])
def test_the_port_before_is_accepted_from_until_all_have_moved(
    workers: TwoWorkers, clock: ManualClock, works: bool
) -> None:
    """Or until all have gone back: then from the one that was refused."""
    place = {"server.host": "0.0.0.0", "server.port": workers.port.port}
    moved = from_routes({"/": "http://h:1"}, {"server.workers": "2", **place})
    before = workers.port
    workers.config = from_routes(
        {"/": "http://h:1"},
        {"server.workers": "2", "server.port": before.port},
    )
    reloader = WorkerReload(workers, lambda: moved, clock=clock)
    reloader.ask()
    after = workers.port
    assert after is not before
    assert workers.received() == [[Reload], [Reload]]
    reloader.answered(workers.children[0], ())
    assert workers.received() == [[], []]
    reloader.answered(workers.children[1], () if works else ["broken"])
    if works:
        assert workers.received() == [[Moved], [Moved]]
    else:  # what it has given them is given up, after they have the one before again
        assert workers.received() == [[Reload, Moved], [Moved]]
    assert workers.port is (after if works else before)
    after.close()


def test_at_the_end_no_reload_begins_that_was_asked_for_before(
    workers: TwoWorkers, clock: ManualClock
) -> None:
    reloader = WorkerReload(workers, lambda: routes("/b"), clock=clock)
    reloader.ask()
    reloader.ask()
    reloader.let_go()
    for child in workers.children:
        reloader.answered(child, ())
    assert workers.received() == [[Reload], [Reload]]


def elsewhere(port: int = 0) -> Config:
    """The configuration that all begin with, at another port."""
    keys = {"server.workers": "2", "server.port": port}
    return from_routes({"/a": "http://h:1"}, keys)


def test_a_reload_is_over_when_the_port_before_is_given_up(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    """The next one may want it again: it waits for that."""
    before = workers.port.port
    wanted = iter([elsewhere(), elsewhere(before)])
    workers.config = elsewhere(before)
    reloader = WorkerReload(workers, lambda: next(wanted), clock=clock)
    reloader.ask()
    after = workers.port
    for child in workers.children:
        reloader.answered(child, ())
    assert workers.received() == [[Reload, Moved], [Reload, Moved]]
    reloader.ask()
    reloader.retired(workers.children[0])
    assert log.messages == []
    assert workers.received() == [[], []]
    reloader.retired(workers.children[1])  # or buried
    assert log.messages == ["configuration reloaded: [server] changed (port)"]
    assert workers.received() == [[Reload], [Reload]]
    assert workers.port.port == before
    after.close()
    workers.port.close()


def test_a_worker_that_is_stuck_delays_no_reload_for_ever_by_the_port_before(
    workers: TwoWorkers, log: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    workers.config = elsewhere(workers.port.port)
    wanted = iter([elsewhere(), elsewhere(workers.port.port)])
    reloader = WorkerReload(workers, lambda: next(wanted), clock=clock)
    stuck = (
        "worker 1 (process 1001) has not reloaded within 10 s; if it does not "
        "respond at all, kill it, and a replacement starts"
    )
    reloader.ask()
    reloader.answered(workers.children[0], ())
    clock.advance(ANSWER_SECONDS)
    reloader.on_time(clock.now)
    assert log.messages == [stuck]
    reloader.retired(workers.children[0])  # the other one is waited for no longer
    told = "configuration reloaded: [server] changed (port)"
    assert log.messages == [stuck, told]
    reloader.ask()
    for child in workers.children:
        reloader.answered(child, ())
    reloader.retired(workers.children[0])
    assert reloader.due == [clock.now + ANSWER_SECONDS]
    clock.advance(ANSWER_SECONDS)
    reloader.on_time(clock.now)
    assert log.messages == [stuck, told, stuck, told]
    workers.port.close()
