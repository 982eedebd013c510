"""/_unbuffered/metrics: for machines that ask."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.exchange_history import ExchangeHistory, counted
from proxy.inspector.kept_metrics import kept_families
from proxy.inspector.limit_metrics import limit_families
from proxy.inspector.own_response import JSON, OwnResponse
from proxy.inspector.peer_workers import OWN, fetch_all, owned
from proxy.inspector.process_metrics import (
    certificate_families,
    health_families,
    restart_families,
    surroundings,
)
from proxy.inspector.state import loop_name
from proxy.inspector.store_metrics import store_families
from proxy.kept.registry import KeptStreams
from proxy.observe.config_reloads import ConfigReloads
from proxy.observe.metrics import Metrics
from proxy.observe.prometheus_text import CONTENT_TYPE, Family, exposition, merged
from proxy.timeline import Timeline
from proxy.transport.client_host import ClientHost
from proxy.transport.ticker import Ticker


class MeasuredServer(Protocol):
    """Whose numbers they are."""

    ticker: Ticker
    compiled: CompiledRoutes
    kept: KeptStreams[KeptStream]
    number: int
    siblings: tuple[str, ...]
    reloads: ConfigReloads
    restarts: dict[int, int]  # of this worker, by its number

    @property
    def certificate_expiries(self) -> Collection[tuple[str, float]]:
        """When certificates expire, each with the listener that shows it."""

    @property
    def clients(self) -> Collection[ClientHost]:
        """All connections of clients."""

    @property
    def leaving(self) -> bool:
        """Is its end announced, or has it begun?"""


class WorkerMetrics(msgspec.Struct):
    """What one worker tells another."""

    number: int
    families: list[Family]


class MetricsEndpoint:
    """The numbers of one server, and of its siblings when they are asked for."""

    def __init__(self, server: MeasuredServer, history: ExchangeHistory) -> None:
        self.server = server
        self.history = history
        self.counted: Metrics | None = None

    def configure(self, enabled: bool) -> None:
        """Count, or do not; what was counted stays over a reload."""
        if not enabled:
            self.counted = None
        elif self.counted is None:
            self.counted = Metrics()
        lag = self.counted.lag.observe if self.counted is not None else None
        self.server.ticker.lagged = lag

    def answered(self, timeline: Timeline) -> None:
        """The upstream of a kept stream has ended."""
        if self.counted is not None:
            self.counted.answered(timeline)

    def metrics(self, answer: OwnResponse, *, own: bool) -> None:
        """All numbers; of all workers, unless only ours are asked for."""
        ours = WorkerMetrics(self.server.number, self.families())
        if own:
            answer.whole(200, JSON, msgspec.json.encode(ours))
        elif self.server.siblings:
            owned(answer, self.gather(answer, ours))
        else:
            self.send(answer, [ours])

    async def gather(self, answer: OwnResponse, ours: WorkerMetrics) -> None:
        """Ask the other workers for theirs."""
        target = f"/_unbuffered/metrics?{OWN}"
        told = await fetch_all(self.server.siblings, target)
        others = [msgspec.json.decode(each, type=WorkerMetrics) for each in told]
        self.send(answer, [ours, *others])

    def send(self, answer: OwnResponse, workers: list[WorkerMetrics]) -> None:
        families = merged([(each.number, each.families) for each in workers])
        answer.whole(200, CONTENT_TYPE, exposition(families))

    def families(self) -> list[Family]:
        """All numbers of this worker, as they are now."""
        metrics = self.counted
        running = (each.timeline for each in counted(self.history.exchanges))
        return [
            *(metrics.families(running) if metrics is not None else ()),
            *surroundings(
                self.server.compiled.upstreams,
                self.server.clients,
                draining=self.server.leaving,
                loop=loop_name(),
            ),
            *health_families(self.server.compiled.by_prefix.values()),
            *kept_families(self.server.kept, self.server.compiled),
            *store_families(self.server.kept.shared),
            *limit_families(self.server.compiled),
            *self.server.reloads.families(),
            *restart_families(self.server.restarts),
            *certificate_families(self.server.certificate_expiries),
        ]
