"""Names to addresses: each name on a thread of its own.

A name server may take as long as it likes. The event loop resolves on an
executor whose few threads one slow name would fill, and which is joined when
the process ends. Here a name has at most one look-up in flight, which all
requests for it share, on a daemon thread, which nothing waits for. What is
asked for, and how the answers are read, is aiohttp's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any, TypeAlias, cast

from proxy.errors import UpstreamUnresolved
from proxy.timeline import monotonic

NAME_SECONDS = 5.0  # how long the addresses of a name are remembered

Address: TypeAlias = tuple[int, str]  # family and address
Outcome: TypeAlias = list[Address] | Exception
Waiter: TypeAlias = "asyncio.Future[Outcome]"


class Resolver:
    """The names of all targets: what is known of them, and what is asked."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, list[Address]]] = {}
        self.waiting: dict[str, set[Waiter]] = {}  # one entry for each look-up

    async def resolve(self, host: str) -> list[Address]:
        """The addresses of a name, remembered for a short time.

        Cancelled, it leaves the look-up to the others who wait for it.

        Raises:
            UpstreamUnresolved: it has none, or nobody knows.
        """
        when, addresses = self.known.get(host, (0.0, []))
        if addresses and monotonic() - when < NAME_SECONDS:
            return addresses
        waiter: Waiter = asyncio.get_running_loop().create_future()
        waiters = self.waiting.get(host)
        if waiters is None:
            waiters = self.begin(host)
        waiters.add(waiter)
        try:
            outcome = await waiter
        finally:
            waiters.discard(waiter)
        if isinstance(outcome, Exception):
            raise unresolved(host, outcome) from outcome
        return outcome

    def forget(self, host: str) -> None:
        """Ask for the name again next time: it may have moved."""
        self.known.pop(host, None)

    def begin(self, host: str) -> set[Waiter]:
        """Look a name up; returns who will be told."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=self.look_up, args=(host, loop), name=f"resolve {host}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as fault:  # the system grants no more threads
            raise unresolved(host, fault) from fault
        waiters = self.waiting[host] = set()
        return waiters

    def look_up(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        """On its thread: ask, and have the loop told."""
        outcome: Outcome
        try:
            outcome = found(host) or OSError("it has no IP address")
        except Exception as fault:
            outcome = fault
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self.looked_up, host, outcome)

    def looked_up(self, host: str, outcome: Outcome) -> None:
        """Tell all who wait for a name."""
        if not isinstance(outcome, Exception):
            self.known[host] = (monotonic(), outcome)
        for waiter in self.waiting.pop(host):
            if not waiter.done():
                waiter.set_result(outcome)


def prepare() -> None:
    """Import what a look-up needs, while nobody waits for one."""
    import aiohttp.resolver  # noqa: F401  # only to have it


class BlockingLoop:
    """What aiohttp's resolver asks of an event loop, done in the thread that asks."""

    async def getaddrinfo(self, host: str, port: int, **options: int) -> list[Any]:
        return socket.getaddrinfo(host, port, **options)

    async def getnameinfo(self, address: Any, flags: int = 0) -> tuple[str, str]:
        return socket.getnameinfo(address, flags)


def found(host: str) -> list[Address]:
    """The addresses of a name; blocks.

    Raises:
        OSError, ValueError: it has none, or nobody knows, or it is not a name.
    """
    from aiohttp import ThreadedResolver  # a quarter of the time of a start

    loop = cast("asyncio.AbstractEventLoop", BlockingLoop())
    resolving = ThreadedResolver(loop).resolve(host, 0, socket.AF_UNSPEC)
    try:
        resolving.send(None)  # it never waits, so it ends in one step
    except StopIteration as end:
        return [(each["family"], each["host"]) for each in end.value]
    finally:
        resolving.close()
    raise RuntimeError("the resolver waits although it must not")


def unresolved(host: str, fault: Exception) -> UpstreamUnresolved:
    """Say in our words why a name has no address."""
    reason = getattr(fault, "strerror", None) or str(fault)
    return UpstreamUnresolved(f"the host name {host!r} cannot be resolved: {reason}")
