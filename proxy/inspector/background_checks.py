"""The watch: every few seconds, a look at what runs, for the log.

While there are clients, and in slices, so that thousands of streams make no
pause. On each route one event stream at a time is probed for bursts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from itertools import islice

from proxy.exchange.exchange import Exchange
from proxy.inspector.detectors import Findings, truncated
from proxy.inspector.exchange_history import ExchangeHistory, counted
from proxy.internal_errors import report
from proxy.observe.burst_detector import BurstDetector, events_in
from proxy.observe.capture_buffer import CaptureBuffer
from proxy.observe.findings import Finding, RecentFindings
from proxy.observe.list_row import kind
from proxy.timeline import Phase, Timeline

LOOK_SECONDS = 5.0
SLICE = 500  # exchanges that are looked at in one turn of the loop
PROBE_AGAIN_SECONDS = 60.0  # after a verdict, whatever it was
KINDS = ("event-stream", "ndjson")


class Probe:
    """Counts the events of one stream as they pass; keeps none."""

    __slots__ = ("bursts", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.bursts = BurstDetector()

    def piece(self, side: str, arrived: float, sent: float | None, data: bytes) -> None:
        if side == "response":
            self.bursts.piece(arrived, events_in(data, self.kind))

    def sent(self, side: str, now: float) -> None:
        if side == "response":
            self.bursts.client_read(now)

    def heartbeat(self, now: float, data: bytes) -> None:
        """Of no interest."""

    def over(self, now: float) -> None:
        """Of no interest."""


class BackgroundChecks:
    """Looks after the exchanges of one server."""

    def __init__(self, history: ExchangeHistory, clients: Collection[object]) -> None:
        self.history = history
        self.clients = clients
        self.clock = history.ticker.clock
        self.told = RecentFindings()
        self.timer: asyncio.Handle | None = None
        self.probed: dict[str, Exchange] = {}
        self.again: dict[str, float] = {}
        self.on = True

    def configure(self, *, on: bool) -> None:
        """Look from now on, at what runs already too; or no more."""
        self.on = on
        if not on:
            self.close()
        elif self.clients:
            self.stir()

    def stir(self) -> None:
        """There is a client: look, as long as there are any."""
        if self.timer is None and self.on:
            loop = asyncio.get_running_loop()
            self.timer = loop.call_later(LOOK_SECONDS, self.begin)

    def truncated(self, timeline: Timeline) -> None:
        """A stream has ended well framed, and is not complete."""
        if self.on:
            self.told.tell([truncated(timeline)], self.clock())

    def close(self) -> None:
        """Look no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for exchange in self.probed.values():
            stop_probe(exchange)
        self.probed.clear()

    def begin(self) -> None:
        """Called by the timer."""
        try:
            exchanges = tuple(self.history.exchanges)
        except Exception as error:
            self.crashed(error)
        else:
            self.go_on(iter(exchanges), Findings(self.clock()))

    def go_on(self, exchanges: Iterator[Exchange], findings: Findings) -> None:
        """One slice, and then the next. A look that fails is followed by another."""
        try:
            self.look_on(exchanges, findings)
        except Exception as error:
            self.crashed(error)

    def crashed(self, error: Exception) -> None:
        """Look again later."""
        report("the background checks of exchanges", error)
        self.timer = None
        if self.clients:
            self.stir()

    def look_on(self, exchanges: Iterator[Exchange], findings: Findings) -> None:
        some = list(islice(exchanges, SLICE))
        self.look(some, findings)
        if some:
            loop = asyncio.get_running_loop()
            self.timer = loop.call_soon(self.go_on, exchanges, findings)
            return
        self.told.tell(self.conclude(findings), findings.now)
        self.timer = None
        if self.clients:
            self.stir()

    def look(self, exchanges: list[Exchange], findings: Findings) -> None:
        """Look at some exchanges, and probe one of each route that is due."""
        findings.look(counted(exchanges))
        for exchange in exchanges:
            route = exchange.timeline.route
            if (
                route is not None
                and exchange.phase is Phase.RELAYING
                and not is_probed(exchange)
                and exchange.timeline.stream
                and route not in self.probed
                and findings.now >= self.again.get(route, 0)
                and kind(exchange.timeline) in KINDS
            ):
                if exchange.capture is None:
                    exchange.start_capture(Probe(kind(exchange.timeline)))
                self.probed[route] = exchange

    def conclude(self, findings: Findings) -> list[Finding]:
        """All findings, those of the probes included."""
        for route, exchange in tuple(self.probed.items()):
            bursts = bursts_of(exchange)
            verdict = bursts.verdict() if bursts is not None else None
            if verdict is not None and bursts is not None:
                findings.bursts(exchange, verdict, behind_us=bursts.is_behind_us)
            over = exchange.phase is Phase.OVER
            if over or bursts is None or bursts.decided:
                del self.probed[route]
                if bursts is not None and bursts.decided:
                    self.again[route] = findings.now + PROBE_AGAIN_SECONDS
                stop_probe(exchange)
        return [*findings.all(), *findings.crowded()]


def is_probed(exchange: Exchange) -> bool:
    """Is there a capture that tells nothing of its bursts, or already a probe?"""
    capture = exchange.capture
    return capture is not None and not isinstance(capture.record, CaptureBuffer)


def stop_probe(exchange: Exchange) -> None:
    """What is recorded of it for others goes on."""
    capture = exchange.capture
    if capture is not None and isinstance(capture.record, Probe):
        exchange.stop_capture()


def bursts_of(exchange: Exchange) -> BurstDetector | None:
    """What is known of the bursts of an exchange, if it is looked at."""
    record = exchange.capture.record if exchange.capture is not None else None
    return record.bursts if isinstance(record, Probe | CaptureBuffer) else None
