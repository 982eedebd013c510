"""Several workers under one supervisor: started, replaced, reloaded, stopped.

The supervisor owns the port and the signals, checks configurations and serves
nothing. It has no event loop: it waits for signals and for what its workers
report. A worker that dies is replaced; one that dies again and again is
replaced more and more slowly. A failure of the first workers to start is
one of the whole.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
from collections.abc import Callable
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

from proxy.config.certificate import CertificateFault
from proxy.config.model import Config
from proxy.config.worker_count import number_of_workers
from proxy.errors import ConfigError
from proxy.exchange.client_counts import SharedRows
from proxy.observe.config_reloads import ConfigReloads
from proxy.process.certificate_watch import CertificateWatch
from proxy.process.console import FAILED, print_error, say
from proxy.process.early_signals import EarlySignals
from proxy.process.process import banner
from proxy.process.reload import faults_of, listening
from proxy.process.service_manager import ServiceManager
from proxy.process.signals import SignalSocket
from proxy.process.socket_activation import NONE_GIVEN, GivenSockets, admin_sockets
from proxy.process.workers.channel import (
    Channel,
    DrainAsked,
    DrainEnded,
    DrainStarted,
    Failed,
    Message,
    Reloaded,
    Retired,
    Serving,
    UnderWay,
)
from proxy.process.workers.further_ports import FurtherPorts
from proxy.process.workers.listen_sockets import PrivateSockets, SharedPort
from proxy.process.workers.shutdown import Shutdown
from proxy.process.workers.worker import Assignment
from proxy.process.workers.worker_process import WorkerProcess
from proxy.process.workers.worker_reload import WorkerReload
from proxy.server.admin_sockets import AdminSockets, open_admin
from proxy.server.listener import TLS, tls_options
from proxy.server.server import SECRET_BYTES
from proxy.timeline import monotonic
from proxy.transport.connector import prepare_for
from proxy.transport.fd_limit import raise_limit

if TYPE_CHECKING:
    from proxy.record.recorder import Recording

log = logging.getLogger("unbuffered")

Read = Callable[[], Config]
Ready = Callable[[int], None]

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]  # of this process, of a worker


def supervise(
    config: Config,
    ready: Ready,
    read: Read | None = None,
    watch: Path | None = None,
    recording: Recording | None = None,
    manager: ServiceManager | None = None,
    given: GivenSockets = NONE_GIVEN,
    early: EarlySignals | None = None,
) -> int:
    """Serve by several workers until SIGINT or SIGTERM; returns the exit code.

    `ready` is told the port once all of them serve. `read` reads the
    configuration anew, at SIGHUP and when `watch` changes. `manager`: who started the
    process, and has opened the `given` sockets. `early`: the signals from before.
    """
    raise_limit()
    prepare_for(config.routes.values())
    number = number_of_workers(config.server.workers)
    # From here on a signal ends it in order: there will be something to tidy up.
    signals = SignalSocket(ENDING if read is None else [*ENDING, signal.SIGHUP])
    try:
        tls = tls_options(config.server, config.certificate)
        with listening(config):
            port = SharedPort(config.server, number, given=given.public)
        further = FurtherPorts(config, number)
        admin = admin_sockets(given) or open_admin(config.server)
    except (ConfigError, CertificateFault) as fault:
        signals.close()
        print_error("; ".join(faults_of(fault)))
        return FAILED
    try:
        private = PrivateSockets(number)
    except OSError as fault:
        signals.close()
        print_error(
            f"cannot create a directory for the worker sockets (see TMPDIR): {fault}"
        )
        if admin is not None:
            admin.close()
        return FAILED
    try:
        supervisor = Supervisor(config, port, tls, private, signals, ready)
        supervisor.admin = admin
        supervisor.further = further
        supervisor.manager = manager or ServiceManager()
        supervisor.recording = recording
        supervisor.early = early or EarlySignals()
        if read is not None:
            supervisor.reloader = WorkerReload(supervisor, read, watch)
            supervisor.reloader.manager = supervisor.manager
        return supervisor.run()
    finally:
        private.remove()
        if admin is not None:
            admin.close()


class Supervisor:
    """Looks after the workers. `run` returns the exit code."""

    def __init__(
        self,
        config: Config,
        port: SharedPort,
        tls: TLS,
        private: PrivateSockets,
        signals: SignalSocket,
        ready: Ready,
    ) -> None:
        self.config = config
        self.port = port
        self.tls = tls  # read before, so that no worker depends on the files
        self.private = private
        self.signals = signals
        self.ready = ready
        self.children = [WorkerProcess(number) for number in range(len(private.paths))]
        self.reloader: WorkerReload | None = None
        self.recording: Recording | None = None
        self.admin: AdminSockets | None = None
        self.further = FurtherPorts(Config(), 0)
        self.manager = ServiceManager()
        self.early = EarlySignals()
        self.told_stopping = False
        self.announced = False  # have all of them begun to serve?
        self.shutdown = Shutdown(self)
        # By it a worker recognises the clients of another one.
        self.secret = token_bytes(SECRET_BYTES)
        self.rows = SharedRows(len(private.paths))
        self.reloads = ConfigReloads()
        self.certificates = CertificateWatch(lambda: [self.tls, *self.further.tls])

    # -- waiting

    def run(self) -> int:
        """Serve until a signal says stop."""
        gc.collect()
        gc.freeze()  # what is here now stays shared: no collector writes to it
        for child in self.children:
            self.start(child)
        while self.living or not self.shutdown.begun:
            self.turn()
        self.signals.close()
        return self.shutdown.status()

    @property
    def living(self) -> list[WorkerProcess]:
        """The workers that there are at the moment."""
        return [child for child in self.children if child.pid]

    def turn(self) -> None:
        """Wait until something happens, and see to it."""
        with selectors.PollSelector() as selector:
            selector.register(self.signals, selectors.EVENT_READ)
            for child in self.children:
                if child.channel is not None:
                    selector.register(child.channel, selectors.EVENT_READ, child)
            ready = [key.data for key, _ in selector.select(self.patience())]
        for number in self.signals.receive():
            self.signalled(number)
        for child in ready:
            if child is not None:
                self.listen(child)
        self.on_time(monotonic())

    def patience(self) -> float | None:
        """How long to wait at most; None: for ever."""
        ends = self.manager.next_sign
        if self.shutdown.begun:
            ends += [self.shutdown.due]
        else:
            ends += [child.due for child in self.children if not child.pid]
            ends.append(self.certificates.due)
            if self.reloader is not None:
                ends += self.reloader.due
        return max(min(ends) - monotonic(), 0.0) if ends else None

    def on_time(self, now: float) -> None:
        """See to what is due."""
        self.manager.alive(now)
        if self.shutdown.begun:
            if not self.told_stopping:
                self.told_stopping = True
                self.manager.stopping()
            self.shutdown.check(now)
            return
        for child in self.children:
            if not child.pid and now >= child.due:
                self.start(child)
        self.certificates.on_time(now)
        if self.reloader is not None:
            self.reloader.on_time(now)

    # -- workers

    def start(self, child: WorkerProcess) -> None:
        """Put a worker into its place."""
        try:
            child.start(self.assign, self.forget)
        except OSError as fault:
            words = f"worker {child.number} cannot be started: {fault.strerror}"
            self.lost(child, words)

    def assign(self, number: int, channel: Channel) -> Assignment:
        """What a worker begins with."""
        return Assignment(
            number=number,
            config=self.config,
            channel=channel,
            sockets=self.port.of(number),
            tls=self.tls,
            further=(self.further.of(number), self.further.tls),
            private=self.private.sockets[number],
            paths=self.private.paths,
            folder=self.private.folder,
            secret=self.secret,
            recording=self.recording,
            admin=self.admin,
            reloads=self.reloads,
            restarts=self.children[number].starts,
            rows=self.rows,
        )

    def forget(self, number: int) -> None:
        """In a worker: close what belongs to the supervisor and to other workers."""
        self.signals.close()
        self.port.leave(number)
        self.further.leave(number)
        if self.reloader is not None:
            self.reloader.let_go()
        self.private.leave(number)
        for child in self.children:
            if child.channel is not None:
                child.channel.close()

    def listen(self, child: WorkerProcess) -> None:
        """A worker has reported."""
        for message in child.hear():
            self.reported(child, message)

    def reported(self, child: WorkerProcess, message: Message) -> None:
        """See to one report."""
        match message:
            case Serving():
                child.serving = True
                self.serves(child)
            case Failed(reason):
                if not self.announced:
                    self.shutdown.fail(reason)
                elif child.told:
                    log.error("worker %d: %s", child.number, reason)
            case Reloaded(faults):
                if self.reloader is not None:
                    self.reloader.answered(child, faults)
            case Retired():
                if self.reloader is not None:
                    self.reloader.retired(child)
            case DrainStarted(exchanges):
                self.shutdown.draining(child, exchanges)
            case DrainAsked():
                if self.reloader is not None:
                    self.reloader.let_go()
                self.shutdown.ask(child)
            case UnderWay(exchanges):
                self.shutdown.runs(child, exchanges)
            case DrainEnded(cut):
                self.shutdown.end(child, cut)

    def serves(self, child: WorkerProcess) -> None:
        """A worker accepts connections; that is no news once the end has begun."""
        if self.shutdown.begun:
            return
        if self.announced:
            log.info("worker %d is running as process %d", child.number, child.pid)
        elif all(each.serving for each in self.children):
            self.announced = True
            admin = None if self.admin is None else self.admin.address
            further = [each.port for each in self.further.ports]
            number = len(self.children)
            say(banner(self.config, self.port.port, number, admin, further))
            self.ready(self.port.port)
            self.manager.ready()
            if self.early.reload_asked:
                self.reload()

    def bury(self) -> None:
        """Take leave of workers that have ended, and of orphans that came to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in self.living:
                if child.pid == pid:
                    self.buried(child, status)

    def buried(self, child: WorkerProcess, status: int) -> None:
        """A worker has ended."""
        self.listen(child)  # its last words
        words = child.buried(status)
        self.rows.clear(child.number)  # its streams have ended with it
        if self.shutdown.begun:
            self.shutdown.buried(child, status, words)
            return
        if self.reloader is not None:
            self.reloader.answered(child, ())
            self.reloader.retired(child)
        self.lost(child, words)

    def lost(self, child: WorkerProcess, words: str) -> None:
        """A worker is missing: replace it, unless it is one of the first."""
        if not self.announced:
            self.shutdown.fail(words)
        else:
            delay = child.replace_later(monotonic())
            if child.told:
                then = f"in {delay:g} s" if delay else "now"
                log.error("%s; a replacement starts %s", words, then)

    def signalled(self, number: int) -> None:
        """A signal has come."""
        if number == signal.SIGCHLD:
            self.bury()
        elif number == signal.SIGHUP and not self.early.lost_terminal():
            if self.announced:
                self.reload()
            else:
                self.early.reload_asked = True
        else:
            if self.reloader is not None:
                self.reloader.let_go()
            self.shutdown.stop(number)

    def reload(self) -> None:
        """Have all workers reload, as far as that has a purpose."""
        if self.reloader is not None and not self.shutdown.begun:
            self.reloader.ask()
