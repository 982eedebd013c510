"""systemd, or another service manager: told how the process stands, by sd_notify(3).

A datagram to a Unix socket that the environment names. Without one nothing is told,
and whatever goes wrong with it is no reason to serve less.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import MutableMapping, Sequence

from proxy.line_writer import one_line
from proxy.timeline import Clock, monotonic

NOTIFY = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"
MICROSECONDS = 1_000_000
# While it drains, which may take longer than TimeoutStopSec=: so long from each sign on
# it is not killed. One that hangs gives none.
EXTENSION = f"EXTEND_TIMEOUT_USEC={30 * MICROSECONDS}"
EXTENDED_EVERY = 10.0  # seconds


class ServiceManager:
    """Who started this process, and wants to hear of it. `address`: "": nobody.

    `watchdog`: how often it wants a sign of life, in seconds; 0: never.
    """

    def __init__(
        self, address: str = "", watchdog: float = 0.0, clock: Clock = monotonic
    ) -> None:
        self.address = address
        self.interval = watchdog / 2  # sd_watchdog_enabled(3): half of it
        self.signs = ["WATCHDOG=1"] if watchdog else []
        self.clock = clock
        self.due = clock() + self.interval

    def tell(self, *lines: str) -> None:
        """Tell something, best effort: it never waits."""
        if not self.address or not hasattr(socket, "AF_UNIX"):
            return
        address = self.address
        if address.startswith("@"):  # the abstract namespace (unix(7))
            address = "\0" + address[1:]
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        ):
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)

    def ready(self) -> None:
        """It serves, since the start."""
        self.tell("READY=1", "STATUS=serving")

    def reloaded(self, faults: Sequence[str]) -> None:
        """A reload has ended; with faults it was refused, and all is as before."""
        status = "serving"
        if faults:
            others = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            status += f"; the last reload was refused: {one_line(faults[0])}{others}"
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun. systemd compares the time with that of its request."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(self.clock() * MICROSECONDS)}")

    def stopping(self) -> None:
        """The end has begun."""
        self.signs.append(EXTENSION)
        self.interval = min(self.interval or EXTENDED_EVERY, EXTENDED_EVERY)
        self.due = self.clock() + self.interval
        self.tell("STOPPING=1", "STATUS=draining", EXTENSION)

    def alive(self, now: float) -> None:
        """Give a sign of life, if it is time for one."""
        if self.interval and now >= self.due:
            self.due = now + self.interval
            self.tell(*self.signs)

    @property
    def next_sign(self) -> list[float]:
        """When the next sign of life is due; nothing where none is wanted."""
        return [self.due] if self.interval and self.address else []


def service_manager(environ: MutableMapping[str, str]) -> ServiceManager:
    """What the environment says; taken out of it, so that no child tells anything."""
    address = environ.pop(NOTIFY, "")
    usec, pid = environ.pop(WATCHDOG, ""), environ.pop(WATCHDOG_PID, "")
    seconds = 0.0
    if usec.isascii() and usec.isdigit() and pid in ("", str(os.getpid())):
        seconds = int(usec) / MICROSECONDS
    return ServiceManager(address if address[:1] in ("/", "@") else "", seconds)


async def give_signs(manager: ServiceManager) -> None:
    """Give signs of life, until cancelled; none where none is wanted."""
    while due := manager.next_sign:
        await asyncio.sleep(max(due[0] - manager.clock(), 0.0))
        manager.alive(manager.clock())
