"""Reloading with several workers: checked once, ordered of all, or of none.

A configuration with a fault is refused here. What shows only in a worker, such
as a package that breaks when it is imported, has all of them go back to the
configuration before, so that they serve by the same one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy.config.model import Config
from proxy.observe.config_reloads import ConfigReloads
from proxy.process.console import say, write_events_as
from proxy.process.inspector_link import new_link
from proxy.process.reload import (
    POLL_SECONDS,
    FileContents,
    Watched,
    faults_of,
    listening,
    read_again,
    refuse,
)
from proxy.process.service_manager import ServiceManager
from proxy.process.workers.channel import Moved, Reload, ReloadEnded
from proxy.process.workers.further_ports import FurtherPorts, further_tls
from proxy.process.workers.listen_sockets import SharedPort
from proxy.process.workers.worker_process import WorkerProcess
from proxy.server.admin_sockets import AdminSockets
from proxy.server.listener import TLS, is_same_address, tls_options
from proxy.timeline import Clock, monotonic

log = logging.getLogger("unbuffered")

ANSWER_SECONDS = 10.0


class Workers(Protocol):
    """Whom it reloads."""

    config: Config
    port: SharedPort
    tls: TLS
    admin: AdminSockets | None
    further: FurtherPorts
    reloads: ConfigReloads
    children: list[WorkerProcess]

    @property
    def living(self) -> list[WorkerProcess]:
        """The workers that there are at the moment."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What workers serve by, those that are started later too."""

    config: Config
    tls: TLS
    further: list[TLS]  # of the listeners beside
    port: SharedPort


class WorkerReload:
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
        self.watched = Watched(watch, workers.config)
        self.contents = FileContents(workers.config)
        self.looked = clock()
        self.asked = False
        self.waiting: set[int] = set()  # workers that have not answered yet
        self.leaving: set[int] = set()  # workers that may still have the port before
        self.stuck: set[int] = set()  # workers that were waited for long enough
        self.limit = 0.0  # when that is no reason to wait any more
        self.news = ""
        self.before: WorkerConfig | None = (
            None  # to go back to, until all have answered
        )
        self.replaced: WorkerConfig | None = None  # until its port is given up
        self.refused: list[str] = []  # faults of the last reload, if it was
        self.faults: dict[str, None] = {}  # that workers have told, each once
        self.manager = ServiceManager()
        self.unwilling: set[int] = set()  # workers that have told one

    # -- when

    def ask(self) -> None:
        """Reload now, or when the reload that is under way has ended."""
        self.asked = self.under_way
        if not self.asked:
            try:
                self.reload()
            except Exception:  # the workers are looked after all the same
                log.exception("internal error in a reload")

    @property
    def under_way(self) -> bool:
        """Is there a worker that owes an answer?"""
        return bool(self.waiting or self.leaving)

    @property
    def due(self) -> list[float]:
        """When there is something to do without being asked."""
        look = [] if self.watch is None else [self.looked + POLL_SECONDS]
        return [*look, self.limit] if self.under_way else look

    def on_time(self, now: float) -> None:
        """Wait no longer for what does not answer; reload if files have changed."""
        if self.under_way and now >= self.limit:
            self.give_up()
        if self.watch is not None and now >= self.looked + POLL_SECONDS:
            self.looked = now
            if self.watched.changed(self.workers.config):
                self.ask()

    # -- how

    def reload(self) -> bool:
        """Read the configuration and order it of all; False if it was refused."""
        workers = self.workers
        self.manager.reloading()
        before = WorkerConfig(
            workers.config, workers.tls, workers.further.tls, workers.port
        )
        try:
            config, news = read_again(self.read, before.config, self.contents)
            after = self.prepare(config, before)
        except Exception as fault:
            return self.refuse(faults_of(fault))
        self.before, self.news = before, news
        self.faults.clear()
        self.unwilling.clear()
        self.stuck.clear()
        self.order(after, workers.living)
        self.conclude()
        return True

    def prepare(self, config: Config, before: WorkerConfig) -> WorkerConfig:
        """What is to be served by from now on.

        Raises:
            ConfigError: or anything else: it has faults. All is as it was.
        """
        tls, port = tls_options(config.server, config.certificate), before.port
        further = further_tls(config)
        if not is_same_address(before.config.server, config.server):
            with listening(config, before.config):
                port = SharedPort(config.server, len(self.workers.children), port)
        return WorkerConfig(config, tls, further, port)

    def order(self, wanted: WorkerConfig, children: Sequence[WorkerProcess]) -> None:
        """Have workers serve by something, and wait for their answers."""
        workers = self.workers
        moved = wanted.port is not workers.port
        workers.config, workers.tls = wanted.config, wanted.tls
        workers.further.tls = wanted.further
        workers.port = wanted.port
        self.waiting = {child.number for child in children}
        self.limit = self.clock() + ANSWER_SECONDS
        for child in children:
            sockets = wanted.port.of(child.number) if moved else ()
            child.tell(Reload(wanted.config), sockets)

    def answered(self, child: WorkerProcess, faults: Sequence[str]) -> None:
        """A worker has reloaded, could not, or is no more."""
        if faults:
            self.unwilling.add(child.number)
            self.faults.update(dict.fromkeys(faults))
        else:  # one that is gone: the next in its place serves as it is told to
            self.unwilling.discard(child.number)
        if child.number in self.waiting:
            self.waiting.discard(child.number)
            self.conclude()
        else:
            for fault in faults:
                log.error(
                    "worker %d keeps its previous configuration: %s",
                    child.number,
                    fault,
                )

    def retired(self, child: WorkerProcess) -> None:
        """A worker accepts no longer at the address before, or is no more."""
        if child.number in self.leaving:
            self.leaving.discard(child.number)
            self.finish()

    def give_up(self) -> None:
        """Workers that have not answered may do so later, or be stuck for good."""
        for child in self.workers.living:
            if child.number in self.waiting | self.leaving:
                log.error(
                    "worker %d (process %d) has not reloaded within %g s; if it "
                    "does not respond at all, kill it, and a replacement starts",
                    child.number,
                    child.pid,
                    ANSWER_SECONDS,
                )
        self.stuck |= self.waiting | self.leaving
        self.leaving.clear()
        if self.waiting:
            self.waiting.clear()
            self.conclude()
        else:
            self.finish()

    def conclude(self) -> None:
        """Once all have answered: go back, or leave the port of before."""
        if self.waiting:
            return
        before, self.before = self.before, None
        if before is not None and self.faults:
            self.refused = [*self.faults]
            refuse(self.refused)
            self.go_back(before)
            return
        self.replaced = before
        if before is not None and before.port is not self.workers.port:
            self.leave(before.port)
        self.finish()

    def finish(self) -> None:
        """Once the port is given up: tell it, and begin the next, if asked.

        Not before: the next one may want that port again.
        """
        if self.under_way:
            return
        before, self.replaced = self.replaced, None
        if before is not None:
            self.contents.apply()
            self.refused = []
            now = self.workers.config
            write_events_as(now.log.format)
            log.info("configuration reloaded: %s", self.news)
            sockets = self.workers.admin
            admin = None if sockets is None else sockets.address
            if link := new_link(before.config, now, self.workers.port.port, admin):
                say(link)
        self.end()
        if self.asked:
            self.ask()

    def refuse(self, faults: list[str]) -> bool:
        """Tell all faults of a reload that was not begun; returns False."""
        self.refused = faults
        self.end()
        return refuse(faults)

    def end(self) -> None:
        """A reload is over: tell those that want to know how it went."""
        workers = self.workers
        workers.reloads.end(succeeded=not self.refused)
        self.manager.reloaded(self.refused)
        for child in workers.living:
            child.tell(ReloadEnded(workers.reloads.succeeded, workers.reloads.at))

    def go_back(self, before: WorkerConfig) -> None:
        """Have those serve by the configuration before that do so no longer."""
        refused = self.workers.port
        told = [
            child for child in self.workers.living if child.number not in self.unwilling
        ]
        self.order(before, told)
        if refused is not before.port:
            self.leave(refused)
        self.conclude()

    def leave(self, port: SharedPort) -> None:
        """Close a port here, and have the workers do so, which accept from it as yet.

        In this order: the last to close it is one that looks whether anybody waits.
        """
        port.close()
        children = self.workers.living
        self.leaving = {child.number for child in children} - self.stuck
        self.limit = self.clock() + ANSWER_SECONDS
        for child in children:
            child.tell(Moved())

    def let_go(self) -> None:
        """Close what is kept only to go back to, and begin no other reload.

        In a worker, and at the end.
        """
        self.asked = False
        if self.before is not None and self.before.port is not self.workers.port:
            self.before.port.close()
