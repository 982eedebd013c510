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
)
from proxy.timeline import monotonic
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
        self, workers: Workers, read: Callable[[], Config], watch: Path | None
    ) -> None:
        self.workers = workers
        self.read = read
        self.watch = watch
        self.watched = Watched()
        self.looked = 0.0
        self.asked = False
        self.waiting: set[int] = set()  # workers that have not answered yet
        self.limit = 0.0  # when that is no reason to wait any more
        self.news = ""

    # -- when

    def ask(self) -> None:
        """Reload now, or when the reload that is under way has ended."""
        self.asked = bool(self.waiting) and monotonic() < self.limit
        if not self.asked:
            self.reload()

    @property
    def next_look(self) -> Sequence[float]:
        """When the files are looked at next; nothing if they are not watched."""
        return () if self.watch is None else (self.looked + POLL_SECONDS,)

    def look(self, now: float) -> None:
        """Reload if the files have changed."""
        if self.watch is None or now < self.looked + POLL_SECONDS:
            return
        self.looked = now
        server = self.workers.config.server
        if self.watched.changed([self.watch, server.tls_certificate, server.tls_key]):
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
        self.limit = monotonic() + ANSWER_SECONDS
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

    def conclude(self) -> None:
        """Tell that all have reloaded; begin the next, if one was asked for."""
        if not self.waiting:
            log.info("configuration reloaded: %s", self.news)
            if self.asked:
                self.ask()
