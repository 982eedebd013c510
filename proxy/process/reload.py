"""Reloading: the files are read again, and served by if they have no fault.

A faulty configuration is refused with all of its faults in the log, and the
old one stays: also where the fault shows late, and whatever it is. Watches
the files, if that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from proxy.config.certificate import CertificateFault
from proxy.config.diff import changes
from proxy.config.effective import fault_lines
from proxy.config.listen_address import ListenAddress
from proxy.config.model import Config
from proxy.config.worker_count import number_of_workers
from proxy.errors import ConfigError, concerning, in_words
from proxy.process.console import say, write_events_as
from proxy.process.inspector_link import new_link
from proxy.process.service_manager import ServiceManager
from proxy.server.listener import PORT_OPTION, listening_fault
from proxy.server.port_sharing import CAN_SHARE
from proxy.server.server import Observer, Server

log = logging.getLogger("unbuffered")

POLL_SECONDS = 1.0
STORE_KEYS = ("url", "key", "prefix")  # of the store that a process has from its start
# What files, addresses and packages of others may do: no fault of ours.
EXPECTED = (OSError, ImportError, UnicodeError)

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
        self.watched = Watched(path, server.config)
        self.contents = FileContents(server.config)
        self.asked = asyncio.Event()
        self.manager = ServiceManager()
        self.faults: list[str] = []  # of the last one

    def ask(self) -> None:
        """Have the configuration reloaded soon."""
        self.asked.set()

    async def run(self) -> None:
        """Reload whenever asked; until cancelled."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            self.manager.reloading()
            try:
                await self.reload()
            finally:
                self.manager.reloaded(self.faults)

    async def reload(self) -> bool:
        """Read the configuration and serve by it; False if it was refused."""
        before = self.server.config
        try:
            config, told = read_again(self.read, before, self.contents)
            await apply(self.server, config, self.observers)
        except Exception as fault:
            self.faults = faults_of(fault)
            self.server.reloads.end(succeeded=False)
            return refuse(self.faults)
        self.faults = []
        self.server.reloads.end(succeeded=True)
        self.contents.apply()
        log.info("configuration reloaded: %s", told)
        if link := new_link(before, config, *self.place):
            say(link)
        return True

    @property
    def place(self) -> tuple[int, ListenAddress | None]:
        """Where the inspector is."""
        return self.server.port, self.server.admin_door.address

    async def watch(self) -> None:
        """Reload when the file, or the certificate, has changed; until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self.watched.changed(self.server.config):
                self.ask()


def read_again(
    read: Read, before: Config, contents: FileContents
) -> tuple[Config, str]:
    """The configuration that a reload asks for, and what is new in it and its files.

    Raises:
        ConfigError: it has faults, or cannot be had without a restart.
    """
    with concerning("the configuration cannot be read"):
        config = read()
    if refusal := asks_for_restart(before, config):
        raise ConfigError([refusal])
    log_warnings(config)
    for line in fault_lines(config):  # as the banner has them at the start
        log.warning("%s", line)
    return config, changes(before, config, contents.rewritten(config))


def log_warnings(config: Config) -> None:
    """What stands in a configuration and is taken, but should be looked at."""
    for warning in config.warnings:
        log.warning("%s", warning)


async def apply(
    server: Server,
    config: Config,
    observers: Observers,
    sockets: Sequence[socket.socket] = (),
    *,
    choose: str = PORT_OPTION,
) -> None:
    """Have a server serve by another configuration, in every process that serves.

    `choose` is how whoever runs it chooses another port.

    Raises:
        ConfigError: or anything else: it cannot, and all is as it was.
    """
    before = server.config
    wanted = None
    if (config.log, config.tracing) != (before.log, before.tracing):
        wanted = observers(config)
    with listening(config, before, choose):
        await server.reload(config, sockets, wanted)
    write_events_as(config.log.format)


@contextlib.contextmanager
def listening(
    config: Config, before: Config | None = None, choose: str = PORT_OPTION
) -> Iterator[None]:
    """Tell as a fault of a configuration that nothing can listen as it says."""
    try:
        yield
    except OSError as fault:
        raise ConfigError([cannot_listen(config, before, fault, choose)]) from fault


def faults_of(fault: Exception) -> list[str]:
    """What went wrong in a reload, by the keys at fault.

    What is no fault of the configuration is one of ours: the log has its traceback.
    """
    cause: BaseException | None = fault
    if isinstance(fault, CertificateFault):
        return [f"{fault.place}{fault.key}: {fault}"]
    if isinstance(fault, ConfigError):
        cause = fault.__cause__
    if cause is not None and not isinstance(cause, EXPECTED):
        log.error("internal error in a reload", exc_info=cause)
    if isinstance(fault, ConfigError):
        return fault.faults
    return [in_words(fault)]


def refuse(faults: Sequence[str]) -> bool:
    """Tell all faults; returns False."""
    for fault in faults:
        log.error("%s", fault)
    log.error("configuration rejected; the previous one remains active")
    return False


def asks_for_restart(before: Config, after: Config) -> str:
    """All that no reload can change, in one line; "" if there is nothing of it."""
    told = []
    one, other = (
        number_of_workers(config.server.workers) for config in (before, after)
    )
    if one != other:
        told.append(f"[server] workers: {other} instead of {one} requires a restart")
    if before.server.admin != after.server.admin:
        told.append("[server] admin: another value requires a restart")
    if refusal := moves_across(before, after):
        told.append(refusal)
    if keys := [key for key in STORE_KEYS if store_differs(before, after, key)]:
        told.append(f"[store] {', '.join(keys)}: another value requires a restart")
    return "; ".join(told)


def moves_across(before: Config, after: Config) -> str:
    """Which listeners cannot be had as `after` says; "" if all can.

    Sockets go from one table to another in no reload, and workers have theirs from the
    start.
    """
    told = []
    old, new = ([(each.host, each.port) for each in c.listen] for c in (before, after))
    if old != new and number_of_workers(before.server.workers) > 1:
        told.append(
            "[[listen]]: other addresses require a restart with several workers"
        )
    one, other = before.server.port, after.server.port
    if one != other:
        told += [
            f"[server] port, [[listen]] port: {port} goes from one to the other, which "
            "requires a restart"
            for port, ports in ((one, new), (other, old))
            if port and port in [each for _, each in ports]
        ]
    return "; ".join(told)


def store_differs(before: Config, after: Config, key: str) -> bool:
    """Is the shared store another one?"""
    return bool(getattr(before.store, key) != getattr(after.store, key))


class Watched:
    """The files of a configuration. Looks at size and time, as `make` does.

    `path` is its own; without it nothing is watched. A change since this moment is one.
    """

    def __init__(self, path: Path | None, config: Config) -> None:
        self.path = path
        self.known = self.seen = self.conditions(config)

    def conditions(self, config: Config) -> list[tuple[int, ...] | None]:
        """What changes with the content of any of the files."""
        if self.path is None:
            return []
        named = files_of(config)
        return [condition(self.path), *(condition(file) for file in named)]

    def changed(self, config: Config) -> bool:
        """Have they changed, and are they at rest again since the last look?

        `config` is in force. An editor writes a file in several steps; half a file
        is no news.
        """
        state = self.conditions(config)
        at_rest, self.seen = state == self.seen, state
        if state == self.known or not at_rest or None in state:
            return False
        self.known = state
        return True


class FileContents:
    """The contents of the files that a configuration names, when it was applied."""

    def __init__(self, config: Config) -> None:
        self.applied = self.read = digests(config)

    def rewritten(self, config: Config) -> set[str]:
        """The files that have another content now."""
        self.read = digests(config)
        return {
            file
            for file, digest in self.read.items()
            if self.applied.get(file, digest) != digest
        }

    def apply(self) -> None:
        """What was read last is what holds."""
        self.applied = self.read


def files_of(config: Config) -> list[str]:
    """The files that a configuration names."""
    named = [config.server.tls_certificate, config.server.tls_key]
    for each in config.listen:
        named += [each.tls_certificate, each.tls_key]
    for pair in config.certificate:
        named += [pair.tls_certificate, pair.tls_key]
    named += [route.ca_file for route in config.routes.values()]
    return [file for file in named if file]


def digests(config: Config) -> dict[str, bytes]:
    """What tells the contents of files apart; nothing of those that are away."""
    found = {}
    for file in files_of(config):
        with contextlib.suppress(OSError, ValueError):
            if os.path.isfile(file):  # nothing that can be read only once
                found[file] = hashlib.sha256(Path(file).read_bytes()).digest()
    return found


def condition(file: Path | str) -> tuple[int, ...] | None:
    """What changes with a file's content; None where there is no file."""
    with contextlib.suppress(OSError, ValueError):  # no name of a file
        found = os.stat(file)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def cannot_listen(
    config: Config,
    before: Config | None,
    fault: OSError,
    choose: str = PORT_OPTION,
    *,
    can_share: bool = CAN_SHARE,
) -> str:
    """Why the listener could not be opened, or moved from where it was before."""
    port = config.server.port
    name = before is None
    if before is not None and port != before.server.port:
        before = None
    if before is not None and fault.errno == errno.EADDRINUSE and not can_share:
        return (
            f"cannot listen on {config.server.host}:{port}: the port is in use by "
            f"this proxy ({before.server.host}:{port}) or another program; on this "
            "system, changing the host on the same port needs a restart"
        )
    host = config.server.host
    why = listening_fault(host, port, fault, choose, name=name)
    return f"cannot listen on {why}"
