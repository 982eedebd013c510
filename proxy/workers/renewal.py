"""Reloading with several workers: checked once, then ordered of all of them.

A configuration with a fault is refused here, so that all workers serve by the
same one. What can go wrong after that, a certificate that has changed once
more in that moment, leaves a worker with the one before, and is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from proxy.config.certificate import CertificateFault
from proxy.config.changes import changes
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.listener import TLS, is_same_address, tls_options
from proxy.reload import (
    POLL_SECONDS,
    Watched,
    asks_for_restart,
    cannot_listen,
    refuse,
    watched_files,
)
from proxy.timeline import Clock, monotonic
from proxy.workers.channel import Reload
from proxy.workers.child import Child
from proxy.workers.sharing import SharedPort

log = logging.getLogger("unbuffered")

ANSWER_SECONDS = 10.0


class Workers(Protocol):
    """Whom it reloads."""

    config: Config
    port: SharedPort
    tls: TLS
    children: list[Child]

    @property
    def living(self) -> list[Child]:
        """The workers that there are at the moment."""


class Renewal:
    """One reload after the other."""

    def __init__(
        self,
        workers: Workers,
        read: Callable[[], Config],
        watch: Path | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self.workers = workers
        self.read = read
        self.watch = watch
        self.clock = clock
        self.watched = Watched(watched_files(watch, workers.config))
        self.looked = clock()
        self.asked = False
        self.waiting: set[int] = set()  # workers that have not answered yet
        self.limit = 0.0  # when that is no reason to wait any more
        self.news = ""

    # -- when

    def ask(self) -> None:
        """Reload now, or when the reload that is under way has ended."""
        self.asked = bool(self.waiting)
        if not self.asked:
            self.reload()

    @property
    def due(self) -> list[float]:
        """When there is something to do without being asked."""
        look = [] if self.watch is None else [self.looked + POLL_SECONDS]
        return [*look, self.limit] if self.waiting else look

    def on_time(self, now: float) -> None:
        """Wait no longer for what does not answer; reload if files have changed."""
        if self.waiting and now >= self.limit:
            self.give_up()
        if self.watch is not None and now >= self.looked + POLL_SECONDS:
            self.looked = now
            if self.watched.changed(watched_files(self.watch, self.workers.config)):
                self.ask()

    # -- how

    def reload(self) -> bool:
        """Read the configuration and order it of all; False if it was refused."""
        workers, before = self.workers, self.workers.config
        try:
            config = self.read()
            tls = tls_options(config.server)
        except ConfigError as error:
            return refuse(error.faults)
        except CertificateFault as fault:
            return refuse([f"[server] {fault.key}: {fault}"])
        if refusal := asks_for_restart(before, config):
            return refuse([refusal])
        old = workers.port
        moved = not is_same_address(before.server, config.server)
        if moved:
            try:
                workers.port = SharedPort(config.server, len(workers.children))
            except OSError as fault:
                return refuse([cannot_listen(config, before, fault)])
        workers.config, workers.tls = config, tls
        self.news = changes(before, config)
        self.waiting = {child.number for child in workers.living}
        self.limit = self.clock() + ANSWER_SECONDS
        for child in workers.living:
            sockets = workers.port.of(child.number) if moved else ()
            child.tell(Reload(config), sockets)
        if moved:
            old.close()
        self.conclude()
        return True

    def answered(self, child: Child, faults: Sequence[str]) -> None:
        """A worker has reloaded, could not, or is no more."""
        for fault in faults:
            log.error("worker %d keeps what it had: %s", child.number, fault)
        if child.number in self.waiting:
            self.waiting.discard(child.number)
            self.conclude()

    def give_up(self) -> None:
        """Workers that have not answered may do so later, or be stuck for good."""
        for child in self.workers.living:
            if child.number in self.waiting:
                log.error(
                    "worker %d (process %d) has not reloaded within %g s; if it does "
                    "nothing at all, kill it, and another one takes its place",
                    child.number,
                    child.pid,
                    ANSWER_SECONDS,
                )
        self.waiting.clear()
        self.conclude()

    def conclude(self) -> None:
        """Tell that all have reloaded; begin the next, if one was asked for."""
        if not self.waiting:
            log.info("configuration reloaded: %s", self.news)
            if self.asked:
                self.ask()
