"""`workers`: how many processes serve the port, and whether this system can.

Asks the system how many processors may be used, and nothing else.
"""

from __future__ import annotations

import os
import socket
import sys

from proxy.config.reader import Entries, Reader

# Connections are spread by SO_REUSEPORT; a worker is a fork of its supervisor.
CAN_SHARE = hasattr(socket, "SO_REUSEPORT") and hasattr(os, "fork")


def number_of_workers(workers: int | str, *, can_share: bool = CAN_SHARE) -> int:
    """The number that `workers` stands for."""
    if isinstance(workers, int):
        return workers
    return usable_processors() if can_share else 1


def usable_processors() -> int:
    """How many processors this process may run on."""
    allowed = getattr(os, "sched_getaffinity", None)  # on Linux
    return (len(allowed(0)) if allowed else os.cpu_count()) or 1


def check_workers(
    reader: Reader, server: Entries, *, can_share: bool = CAN_SHARE
) -> None:
    """More than one needs a port that can be shared."""
    entry = server.get("workers")
    if entry is not None and not can_share and entry.value not in (1, "auto"):
        reader.fault(
            "server",
            "workers",
            f"{entry.value} workers cannot share a port on this system "
            f"({sys.platform} has no SO_REUSEPORT or no fork): set it to 1",
        )
