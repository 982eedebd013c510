"""What a drain waits for: exchanges, those of other workers, answers of our own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.inspector import Inspector
from proxy.kept.registry import KeptStreams
from proxy.server.drain import Draining
from proxy.server.peer_door import PeerDoor


class BusyServer(Protocol):
    """Whose they are."""

    inspector: Inspector
    kept: KeptStreams[KeptStream]
    peer_door: PeerDoor

    @property
    def exchanges(self) -> Collection[Draining]:
        """Those of its own clients."""


def draining(server: BusyServer) -> Iterator[Draining]:
    """All of them, as they are now."""
    yield from server.exchanges
    yield from server.peer_door.exchanges
    yield from server.inspector.answers
    if server.kept.shared is not None:
        yield from read_for_others(server.kept.streams.values())


def read_for_others(streams: Iterable[KeptStream]) -> Iterator[Draining]:
    """What is read from upstreams for other processes, too."""
    for stream in tuple(streams):
        exchange = stream.upstream.exchange
        if stream.replication.is_written and exchange is not None:
            yield exchange
