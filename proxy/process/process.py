"""One process: its event loop, its signals, its banner, its logs.

Takes a configuration that is already checked and serves it until a signal
says stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, TypeVar

from proxy import __version__
from proxy.config.certificate import CertificateFault
from proxy.config.effective import fault_lines, route_table
from proxy.config.listen_address import ListenAddress
from proxy.config.model import Config, ServerOptions
from proxy.errors import ConfigError, concerning
from proxy.exchange import forward
from proxy.line_writer import line_writer
from proxy.observe.access_log import AccessLog
from proxy.process.browser_addresses import browser_line
from proxy.process.certificate_watch import CertificateWatch
from proxy.process.console import (
    BY_SIGNAL,
    CUT,
    FAILED,
    FLUSH_SECONDS,
    OK,
    event_loop,
    print_error,
    say,
)
from proxy.process.early_signals import EarlySignals
from proxy.process.inspector_link import inspector_line
from proxy.process.reload import Reloader, faults_of, listening
from proxy.process.service_manager import ServiceManager, give_signs
from proxy.process.signals import Signals
from proxy.process.socket_activation import NONE_GIVEN, GivenSockets, admin_sockets
from proxy.quantities import counted
from proxy.server.server import Observer, Server
from proxy.transport.connector import prepare_for
from proxy.transport.fd_limit import raise_limit

if TYPE_CHECKING:
    from proxy.record.recorder import Recording

log = logging.getLogger("unbuffered")

Hurry = TypeVar("Hurry")


def form() -> str:
    """In which form the way of a request is run (docs/deploying.md)."""
    file = forward.__file__ or ""
    return "" if file.endswith((".py", ".pyc")) else ", compiled"


def banner(
    config: Config,
    port: int,
    workers: int = 1,
    admin: ListenAddress | None = None,
    further: Sequence[int] = (),
) -> str:
    """What is served where, for the person who started it.

    `further`: the ports of the listeners beside.
    """
    host = config.server.host
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if config.server.tls_certificate else "http"
    loop, _ = event_loop()
    python = f"Python {sys.version.split()[0]}{form()}"
    number = f"{workers} workers, " if workers > 1 else ""
    return (
        f"Unbuffered {__version__} on {scheme}://{shown}:{port}/  "
        f"({versions(config.server)}{loop}, {python}, {number}process {os.getpid()})\n"
        f"{browser_line(host, port, scheme)}"
        f"{''.join(f'{line}{chr(10)}' for line in listen_lines(config, further))}"
        f"{route_table(config)}\n"
        f"{''.join(f'{line}{chr(10)}' for line in fault_lines(config))}"
        f"{inspector_line(config, port, admin)}"
        "Ctrl-C stops."
    )


def listen_lines(config: Config, ports: Sequence[int]) -> Iterator[str]:
    """Where else it listens."""
    for each, port in zip(config.listen, ports, strict=True):
        host = f"[{each.host}]" if ":" in each.host else each.host
        scheme = "https" if each.tls_certificate else "http"
        what = "  (redirects to https)" if each.https_redirect else ""
        yield f"and on {scheme}://{host}:{port}/{what}"


def versions(server: ServerOptions) -> str:
    """The versions of HTTP that are spoken, where they are more than HTTP/1.1."""
    both = server.http2 if server.tls_certificate else server.http2_cleartext
    return "HTTP/2 and HTTP/1.1, " if both else ""


async def serve(
    config: Config,
    ready: Callable[[Server], None] | None = None,
    *,
    read: Callable[[], Config] | None = None,
    watch: Path | None = None,
    recording: Recording | None = None,
    sockets: Sequence[socket] = (),
    manager: ServiceManager | None = None,
    given: GivenSockets = NONE_GIVEN,
    early: EarlySignals | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; `ready` is called once it listens.

    `sockets` listen already where `config` says, and are closed at the end.
    `read` reads the configuration anew, at SIGHUP and when `watch` changes. `manager`:
    who started the process, and has opened the `given` sockets. `early`: the signals
    from before.
    """
    manager = manager or ServiceManager()
    signals = Signals(early)
    raise_limit()
    prepare_for(config.routes.values())
    recorder = None if recording is None else recording.recorder()
    server = Server(config, observers=observers(config), tapes=recorder)
    server.drain_progress.on_asked = signals.drain_asked
    reloader = None
    if read is not None:
        reloader = Reloader(server, read, observers, watch)
        reloader.manager = manager
        signals.on_hangup(reloader.ask)
    try:
        with listening(config):
            public = sockets or given.public
            await server.start(public, None, admin_sockets(given))
    except (ConfigError, CertificateFault) as fault:
        print_error("; ".join(faults_of(fault)))
        return FAILED
    further = [each.port for each in server.listeners.further.listeners]
    admin = server.admin_door.address
    say(banner(config, server.port, admin=admin, further=further))
    if ready is not None:
        ready(server)
    manager.ready()
    loop = asyncio.get_running_loop()
    tasks = []
    signs = loop.create_task(give_signs(manager))
    tasks.append(loop.create_task(certificate_watch(server).run()))
    if reloader is not None:
        tasks.append(loop.create_task(reloader.run()))
        if watch is not None:
            tasks.append(loop.create_task(reloader.watch()))
    await signals.stop()
    manager.stopping()
    await cancelled([*tasks, signs])
    signs = loop.create_task(give_signs(manager))  # others, and more of them
    cut, again = await drained(server, signals)
    if recorder is not None:
        recorder.finish(FLUSH_SECONDS)
    await cancelled([signs])
    return say_ended(cut, again)


def certificate_watch(server: Server) -> CertificateWatch:
    """Who looks after its certificates."""

    return CertificateWatch(lambda: server.listeners.tls)


async def drained(server: Server, signals: Signals) -> tuple[int, int | None]:
    """Have it end as its configuration says by now; as `drain`."""
    settings = server.config.server
    await delay(server, settings.drain_delay_seconds, signals.stop())
    seconds = settings.drain_seconds
    begun = partial(say_draining, seconds=seconds)
    cut, again = await drain(server, seconds, begun, signals.stop())
    await server.drain_progress.end(cut)
    return cut, again


def observers(config: Config) -> list[Observer]:
    """Who wants to hear of ended exchanges.

    Raises:
        ConfigError: one of them cannot be made.
    """
    wanted: list[Observer] = []
    if config.log.access:
        with concerning("[log] access"):
            stream = line_writer(sys.stdout, "access", "the access log", log.warning)
            wanted.append(AccessLog(stream, config.log.format).ended)
    if config.tracing.enabled:
        with concerning("[tracing] enabled"):
            from proxy.observe.otel import tracing

            wanted.append(tracing().ended)
    return wanted


async def delay(
    server: Server, seconds: float, hurry: Coroutine[Any, Any, Hurry]
) -> None:
    """Be not ready for a while before a drain, or until `hurry` ends."""
    if not seconds:
        hurry.close()
        return
    say_delayed(seconds)
    over = server.announce(seconds).over
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(over.wait()), loop.create_task(hurry)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await cancelled(waiting)


async def drain(
    server: Server,
    seconds: float,
    begun: Callable[[int], None],
    hurry: Coroutine[Any, Any, Hurry],
) -> tuple[int, Hurry | None]:
    """Let open exchanges end for a while, or until `hurry` ends: then at once.

    `begun` is told how many there are. Returns how many clients were left with half
    a response, and what `hurry` gave.
    """
    loop = asyncio.get_running_loop()
    under_way = server.under_way
    drained = loop.create_task(server.stop(seconds))
    await asyncio.sleep(0)  # it has begun before anyone is told
    begun(under_way)
    hurried = loop.create_task(hurry)
    await asyncio.wait((drained, hurried), return_when=asyncio.FIRST_COMPLETED)
    if drained.done():
        await cancelled([hurried])
        return drained.result(), None
    await cancelled([drained])
    return await server.stop(), hurried.result()


def say_delayed(seconds: float) -> None:
    """What goes on as before, and for how long."""
    say(
        f"the drain begins in {seconds:g} s (drain_delay_seconds): "
        "/_unbuffered/ready answers 503 and requests are still served; "
        "send the signal again to drain now"
    )


def say_draining(under_way: int, seconds: float) -> None:
    """What is waited for now, if anything is."""
    if under_way and seconds:
        say(
            f"draining {counted(under_way, 'exchange')} for up to {seconds:g} s; "
            "send the signal again to stop immediately"
        )


def say_ended(cut: int, again: int | None) -> int:
    """How it ended; the exit code. `again`: the signal that hurried it, if one did."""
    if again is not None:
        return BY_SIGNAL + again
    if cut:
        say(f"{counted(cut, 'exchange')} cut before the end")
    return CUT if cut else OK


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            pass
        except Exception:  # the end goes on all the same
            log.exception("internal error in a background task")
