"""A supervisor whose end begins before its start is over."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.load import from_routes
from proxy.process.signals import SignalSocket
from proxy.process.workers.channel import Serving
from proxy.process.workers.listen_sockets import PrivateSockets, SharedPort
from proxy.process.workers.supervisor import Supervisor


@pytest.fixture
def supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Supervisor, list[int]]]:
    """With places for two workers, and the ports that it has told of."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = from_routes({"/": "http://h:1"}, {"server.port": 0})
    port, private, told = SharedPort(config.server, 2), PrivateSockets(2), list[int]()
    signals = SignalSocket([])
    yield Supervisor(config, port, {}, private, signals, told.append), told
    signals.close()
    private.remove()
    port.close()


def test_it_is_ready_once_all_workers_serve(
    supervisor: tuple[Supervisor, list[int]],
) -> None:
    starting, told = supervisor
    one, other = starting.children
    starting.reported(one, Serving())
    assert told == []
    starting.reported(other, Serving())
    assert told == [starting.port.port]


def test_a_stop_before_all_workers_serve_is_a_stop(
    supervisor: tuple[Supervisor, list[int]],
) -> None:
    """The port is closed already when the last of them says that it serves."""
    starting, told = supervisor
    one, other = starting.children
    starting.reported(one, Serving())
    starting.signalled(signal.SIGTERM)
    starting.reported(other, Serving())
    assert told == []
    assert starting.shutdown.begun
