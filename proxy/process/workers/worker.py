"""One worker: a process with an event loop, a share of the port, and orders.

Its supervisor is in `workers`. It takes orders from there alone: signals that
a terminal or an init system sends to all processes of a group would come
twice. When the supervisor is gone, however it went, the worker drains and
ends; nobody else would tell it to.

On a Unix socket of its own each worker serves the same as on the port, so that
another one can ask it, and no one else, for what only it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.config.model import Config
from proxy.exchange.client_counts import SharedRows
from proxy.internal_errors import report
from proxy.observe.config_reloads import ConfigReloads
from proxy.process.console import CUT, FAILED, FLUSH_SECONDS, OK
from proxy.process.process import drain, observers
from proxy.process.reload import apply, faults_of, listening
from proxy.process.workers.channel import (
    AllEnded,
    Arrival,
    Channel,
    Cut,
    DrainAsked,
    DrainEnded,
    DrainStarted,
    Failed,
    Leave,
    Message,
    Moved,
    OthersUnderWay,
    Reload,
    Reloaded,
    ReloadEnded,
    Retired,
    Serving,
    UnderWay,
)
from proxy.server.admin_sockets import AdminSockets
from proxy.server.further_listeners import Further
from proxy.server.listener import TLS
from proxy.server.server import Server
from proxy.system.unix_socket import serve_unix

if TYPE_CHECKING:
    from proxy.record.recorder import Recorder, Recording

log = logging.getLogger("unbuffered")


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker begins with. Its sockets are its own from then on."""

    number: int
    config: Config
    channel: Channel
    sockets: Sequence[socket.socket]
    tls: TLS
    further: Further  # the same of the listeners beside
    private: socket.socket
    paths: tuple[str, ...]  # of the private sockets of all workers, by number
    folder: str  # where those are
    secret: bytes  # of all workers
    recording: Recording | None  # of exchanges; each worker has files of its own
    admin: AdminSockets | None  # of all workers
    reloads: ConfigReloads  # how they went before
    restarts: int  # of workers in its place
    rows: SharedRows  # of how many streams each client has, one for each worker

    @property
    def siblings(self) -> tuple[str, ...]:
        """The private sockets of the other workers."""
        return self.paths[: self.number] + self.paths[self.number + 1 :]


class Worker:
    """Serves until it is told to stop; `run` returns the exit code."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.channel = assignment.channel
        self.orders: asyncio.Queue[Arrival | None] = asyncio.Queue()
        self.alone = False  # is the supervisor gone?
        self.reports: Reports | None = None
        self.recorder: Recorder | None = None
        self.server: Server

    async def start(self) -> None:
        """Serve by the configuration of the beginning.

        Raises:
            ConfigError: or anything else: it cannot.
        """
        given = self.assignment
        if given.recording is not None:
            self.recorder = given.recording.recorder()
        self.server = Server(
            given.config,
            observers=observers(given.config),
            number=given.number,
            siblings=given.siblings,
            secret=given.secret,
            rows=given.rows,
            tapes=self.recorder,
        )
        self.server.reloads = given.reloads
        self.server.restarts = {given.number: given.restarts}
        self.server.drain_progress.on_asked = lambda: self.tell(DrainAsked())
        with listening(given.config):
            await self.server.start(
                given.sockets, given.tls, given.admin, given.further
            )

    async def run(self) -> int:
        """Start, obey, drain."""
        loop = asyncio.get_running_loop()
        given = self.assignment
        try:
            await self.start()
        except Exception as fault:
            self.tell(Failed("; ".join(faults_of(fault))))
            return FAILED
        # By its address, b"unix", the inspector knows a worker (inspector.access).
        neighbours = await serve_unix(self.server.peer_door.accept, given.private)
        loop.add_reader(self.channel.fileno(), self.read)
        self.tell(Serving())
        last = await self.obey()
        try:
            return await self.end(last)
        finally:
            neighbours.close()  # whoever comes during the drain is told to go

    # -- the supervisor

    def tell(self, message: Message) -> None:
        """Report. If the supervisor is gone, that is noticed elsewhere."""
        with contextlib.suppress(OSError):
            self.channel.send(message)

    def read(self) -> None:
        """Orders have come, or will never come again."""
        try:
            for arrival in self.channel.receive():
                self.orders.put_nowait(arrival)
        except EOFError:
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
            self.orders.put_nowait(None)
            self.orphaned()

    async def obey(self) -> Message | None:
        """Follow orders up to the last one; None if the supervisor is gone."""
        while (arrival := await self.orders.get()) is not None:
            order, sockets = arrival
            if isinstance(order, Moved):
                await self.server.listeners.public.retire()
                self.tell(Retired())
                continue
            if isinstance(order, ReloadEnded):
                reloads = self.server.reloads
                reloads.succeeded, reloads.at = order.succeeded, order.at
                continue
            if isinstance(order, Leave):
                self.server.announce(order.seconds)
                self.report_under_way()
                continue
            if isinstance(order, OthersUnderWay):
                self.told_of_others(order)
                continue
            if not isinstance(order, Reload):
                return order
            faults = await self.reload(order.config, sockets)
            self.tell(Reloaded(faults))
        return None

    async def reload(
        self, config: Config, sockets: Sequence[socket.socket]
    ) -> tuple[str, ...]:
        """Serve by another configuration; the faults if that is not possible."""
        try:
            await apply(self.server, config, observers, sockets)
        except Exception as fault:
            for each in sockets:
                each.close()
            return tuple(faults_of(fault))
        return ()

    # -- the end

    async def end(self, last: Message | None) -> int:
        """Let open exchanges end for a while, unless told to end at once."""
        seconds = self.server.config.server.drain_seconds
        if isinstance(last, Cut):
            seconds = 0
        cut, _ = await drain(self.server, seconds, self.draining, self.hurried())
        self.tell(DrainEnded(cut))
        progress = self.server.drain_progress
        if progress.is_watched:
            await progress.end(await self.cut_in_all(cut))
        if self.recorder is not None:
            self.recorder.finish(FLUSH_SECONDS)
        if self.alone:
            shutil.rmtree(self.assignment.folder, ignore_errors=True)
        return CUT if cut else OK

    def draining(self, exchanges: int) -> None:
        """The drain has begun."""
        self.tell(DrainStarted(exchanges))
        self.report_under_way()
        if self.alone:
            log.warning("the supervisor is gone; this worker drains and exits")

    async def hurried(self) -> None:
        """Wait until it shall end at once."""
        while True:
            arrival = await self.orders.get()
            if arrival is not None and isinstance(arrival[0], Cut):
                return
            if arrival is not None and isinstance(arrival[0], OthersUnderWay):
                self.told_of_others(arrival[0])

    async def cut_in_all(self, cut: int) -> int:
        """Wait for the end of all workers; how many clients have half a response."""
        while not self.alone and (arrival := await self.orders.get()) is not None:
            order, _ = arrival
            if isinstance(order, AllEnded):
                return order.cut
            if isinstance(order, OthersUnderWay):
                self.told_of_others(order)
        return cut

    # -- for clients that watch the drain

    def report_under_way(self) -> None:
        """Have the supervisor know how many exchanges there are, from now on."""
        if self.reports is None:
            self.reports = Reports(self)
            self.server.ticker.add(self.reports)
            self.reports.check(self.server.ticker.clock())

    def told_of_others(self, order: OthersUnderWay) -> None:
        """Have clients that watch know how many exchanges there are in all."""
        self.server.drain_progress.told_of_others(order.exchanges, all=order.all)

    def orphaned(self) -> None:
        """Nobody gives orders any more: signals do again what they usually do."""
        self.alone = True
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)


class Reports:
    """Tells how many exchanges are under way whenever that has changed."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.told = -1

    def check(self, now: float) -> None:
        """Called by the clock."""
        exchanges = self.worker.server.drain_progress.left()
        if exchanges != self.told:
            self.told = exchanges
            self.worker.tell(UnderWay(exchanges))

    def crashed(self, place: str, error: Exception) -> None:
        """It is told no more: what is waited for is not counted here."""
        report(place, error)
