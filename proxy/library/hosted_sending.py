"""What is sent of one response inside a host: the half of `EmbeddedStream` that sends.

A host writes by coroutines that may wait, so what the exchange sends waits here,
bounded, and one task hands it to the host in its order.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from typing import Protocol

from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.response_plan import TERMS, ResponsePlan, Terms
from proxy.server.server import Server
from proxy.transport.connection import HIGH_WATER
from proxy.transport.flow import ChunkedSink, Feeder

# Pieces that wait for the host are handed over together, up to so many bytes.
JOINED = 64 * 1024


class HostRefused(Exception):
    """The host has raised on what it was given: it, or middleware, wants none of it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")


class Outlet(Protocol):
    """Where a host takes a response; each call returns when it takes more."""

    async def interim(self, plan: ResponsePlan) -> None:
        """A 1xx response, if the host can send one."""

    async def head(self, plan: ResponsePlan) -> None:
        """The head."""

    async def flush(self) -> None:
        """Let the head go out alone: nothing of the body is here yet."""

    async def piece(self, data: bytes) -> None:
        """Bytes of the body."""

    async def end(self, trailers: Fields) -> None:
        """The response is complete."""


class HostedSending:
    """What is sent of one response, and what waits of it."""

    def __init__(self, server: Server, request: RequestHead | None) -> None:
        self.server = server
        self.request = request
        self.closed = False  # the client has left, or the host has all it gets
        self.last = False  # is the response the last one on its connection?
        self.feeder: Feeder | None = None
        self.blocked = False
        self.buffer_bytes = HIGH_WATER
        self.interims: deque[ResponsePlan] = deque()
        self.plan: ResponsePlan | None = None  # whose head has yet to go out
        self.pieces: deque[bytes] = deque()  # that wait
        self.queued = 0  # bytes in them, and in what the host is taking
        self.taken_by = 0.0  # when the host has to take some of it; 0: not known
        self.trailers: Fields = []
        self.ends = False  # the response is complete behind what waits
        self.broken = False  # it ends there, and is not
        self.end_sent = False
        self.over = False  # the exchange is
        self.complete = False  # has the host got all of the response?
        self.wake = asyncio.Event()
        self.writer: asyncio.Task[None] | None = None

    # -- the response: see `ClientStream`

    @property
    def terms(self) -> Terms:
        request = self.request
        return TERMS[request is None or request.minor >= 1][not self.last]

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        return None

    def limit_buffer(self, size: int) -> None:
        self.buffer_bytes = size

    def end_after_response(self) -> None:
        self.last = True

    def leave_connection(self) -> None:
        self.last = True

    def send_interim(self, plan: ResponsePlan) -> None:
        request = self.request
        if request is not None and request.minor >= 1 and not self.blocked:
            self.interims.append(plan)
            self.wake.set()

    def send_plan(self, plan: ResponsePlan) -> None:
        self.plan = plan
        self.wake.set()

    def flush_head(self) -> None:
        """The head is on its way already."""

    def send_piece(self, piece: bytes) -> None:
        if self.closed:
            return
        self.pieces.append(piece)
        self.queued += len(piece)
        self.wake.set()
        if self.queued > self.buffer_bytes and not self.blocked:
            self.blocked = True
            self.server.ticker.add(self)
            if self.feeder is not None:
                self.feeder.sink_blocked()

    def send_aside(self, data: bytes) -> None:
        self.send_piece(data)

    def send_end(self, trailers: Fields) -> None:
        self.trailers = trailers
        self.send_fin()

    def send_fin(self) -> None:
        self.ends = True
        self.wake.set()

    @property
    def is_closing(self) -> bool:
        return self.closed

    @property
    def half_closes(self) -> bool:
        return False

    # -- to the host

    async def write_to(self, outlet: Outlet) -> None:
        """Hand all that comes to the host, until the response is over."""
        try:
            while not self.closed:
                await self.wake.wait()
                self.wake.clear()
                await self.write_waiting(outlet)
        except OSError:  # of the host: nobody is there any more
            self.leave("the client closed the connection")
        except HostRefused as error:
            self.refused_by_host(error)
        except Exception as error:
            self.crashed("writing to the host", error)
            self.let_go()

    async def write_waiting(self, outlet: Outlet) -> None:
        """Hand over what waits."""
        while self.interims and not self.closed:
            await outlet.interim(self.interims.popleft())
        plan, self.plan = self.plan, None
        if plan is not None and not self.closed:
            await outlet.head(plan)
            if not self.pieces and not self.ends and not self.broken:
                await outlet.flush()
        while self.pieces and not self.closed:
            data = self.take()
            await outlet.piece(data)
            self.was_taken(len(data))
        if self.closed or self.plan is not None:
            return
        if self.ends and not self.end_sent and not self.broken:
            self.end_sent = True
            await outlet.end(self.trailers)
            self.complete = not self.closed
        if self.over:
            self.let_go()

    def take(self) -> bytes:
        """The first bytes that wait."""
        pieces = self.pieces
        data = pieces.popleft()
        if not pieces or len(data) >= JOINED:
            return data
        some, size = [data], len(data)
        while pieces and size + len(pieces[0]) <= JOINED:
            size += len(pieces[0])
            some.append(pieces.popleft())
        return b"".join(some)

    def was_taken(self, size: int) -> None:
        """The host has so many bytes more."""
        if self.closed:
            return
        self.queued -= size
        self.taken_by = 0.0
        if self.blocked and self.queued <= self.buffer_bytes >> 2:
            self.blocked = False
            if self.feeder is not None:
                try:
                    self.feeder.sink_ready()
                except Exception as error:
                    self.crashed("resuming writes", error)

    # -- what follows

    @abstractmethod
    def check(self, now: float) -> None:
        """Look at the time limits. Called by the ticker."""

    @abstractmethod
    def leave(self, reason: str) -> None:
        """The client is gone."""

    @abstractmethod
    def refused_by_host(self, error: HostRefused) -> None:
        """The host takes no more of the response."""

    @abstractmethod
    def let_go(self) -> None:
        """Nothing goes either way any more."""

    @abstractmethod
    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""
