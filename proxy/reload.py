"""Reloading: the files are read anew, and served by if they have no fault.

A faulty configuration is refused with all of its faults in the log, and the
old one stays. Watches the files, if that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from proxy.config.certificate import CertificateFault
from proxy.config.changes import changes
from proxy.config.model import Config
from proxy.config.workers import number_of_workers
from proxy.errors import ConfigError
from proxy.listener import listening_fault
from proxy.server import Observer, Server

log = logging.getLogger("unbuffered")

POLL_SECONDS = 1.0

Read = Callable[[], Config]
Observers = Callable[[Config], Sequence[Observer]]


class Reloader:
    """Gives a server its configuration anew, one reload after the other."""

    def __init__(
        self,
        server: Server,
        read: Read,
        observers: Observers,
        path: Path | None = None,
    ) -> None:
        self.server = server
        self.read = read
        self.observers = observers
        self.path = path  # of what is watched
        self.watched = Watched(watched_files(path, server.config))
        self.asked = asyncio.Event()

    def ask(self) -> None:
        """Have the configuration reloaded soon."""
        self.asked.set()

    async def run(self) -> None:
        """Reload whenever asked; until cancelled."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            await self.reload()

    async def reload(self) -> bool:
        """Read the configuration and serve by it; False if it was refused."""
        server, before = self.server, self.server.config
        try:
            config = self.read()
        except ConfigError as error:
            return refuse(error.faults)
        if refusal := asks_for_restart(before, config):
            return refuse([refusal])
        try:
            await server.reload(config)
        except CertificateFault as fault:
            return refuse([f"[server] {fault.key}: {fault}"])
        except OSError as fault:
            return refuse([cannot_listen(config, before, fault)])
        if (config.log, config.tracing) != (before.log, before.tracing):
            server.observers = tuple(self.observers(config))
        log.info("configuration reloaded: %s", changes(before, config))
        return True

    async def watch(self) -> None:
        """Reload when the file, or the certificate, has changed; until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self.watched.changed(watched_files(self.path, self.server.config)):
                self.ask()


def refuse(faults: Sequence[str]) -> bool:
    """Tell all faults."""
    for fault in faults:
        log.error("%s", fault)
    log.error("configuration refused; the one before stays in force")
    return False


def asks_for_restart(before: Config, after: Config) -> str:
    """What no reload can change; "" if there is nothing of it."""
    one, other = (
        number_of_workers(config.server.workers) for config in (before, after)
    )
    if one == other:
        return ""
    return f"[server] workers: {other} instead of {one} takes a restart"


class Watched:
    """Files that may change. Looks at size and time, as `make` does.

    `files` is what is in force; a change since this moment is one.
    """

    def __init__(self, files: Sequence[Path | str]) -> None:
        self.known = self.seen = conditions(files)

    def changed(self, files: Sequence[Path | str]) -> bool:
        """Have they changed, and are they at rest again since the last look?

        An editor writes a file in several steps; half a file is no news.
        """
        state = conditions(files)
        at_rest, self.seen = state == self.seen, state
        if state == self.known or not at_rest or None in state:
            return False
        self.known = state
        return True


def watched_files(path: Path | None, config: Config) -> list[Path | str]:
    """The file of a configuration, and those that it names; none without the first."""
    if path is None:
        return []
    return [path, config.server.tls_certificate, config.server.tls_key]


def conditions(files: Sequence[Path | str]) -> list[tuple[int, ...] | None]:
    """What changes with the content of any of them."""
    return [condition(file) for file in files if file]


def condition(file: Path | str) -> tuple[int, ...] | None:
    """What changes with a file's content; None where there is no file."""
    with contextlib.suppress(OSError):
        found = os.stat(file)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def cannot_listen(config: Config, before: Config, fault: OSError) -> str:
    """Why the listener could not be moved."""
    port = config.server.port
    line = f"cannot listen on {listening_fault(config.server, fault)}"
    if fault.errno == errno.EADDRINUSE and port == before.server.port:
        line += "; if it is this one: another host on the same port takes a restart"
    return line
