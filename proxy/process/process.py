"""One process: its event loop, its signals, its banner, its logs.

Takes a configuration that is already checked and serves it until a signal
says stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from proxy import __version__
from proxy.config.certificate import CertificateFault
from proxy.config.effective import route_table
from proxy.config.model import Config, ServerOptions
from proxy.errors import ConfigError, concerning
from proxy.exchange import forward
from proxy.line_writer import line_writer
from proxy.observe.access_log import AccessLog
from proxy.process.console import (
    BY_SIGNAL,
    CUT,
    FAILED,
    OK,
    event_loop,
    print_error,
    say,
)
from proxy.process.reload import Reloader, faults_of, listening
from proxy.process.signals import Signals
from proxy.quantities import counted
from proxy.server.server import Observer, Server
from proxy.transport.connector import prepare_for
from proxy.transport.fd_limit import raise_limit

log = logging.getLogger("unbuffered")

Hurry = TypeVar("Hurry")


def form() -> str:
    """In which form the way of a request is run (docs/deploying.md)."""
    file = forward.__file__ or ""
    return "" if file.endswith((".py", ".pyc")) else ", compiled"


def banner(config: Config, port: int, workers: int = 1) -> str:
    """What is served where, for the person who started it."""
    host = config.server.host
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if config.server.tls_certificate else "http"
    loop, _ = event_loop()
    python = f"Python {sys.version.split()[0]}{form()}"
    number = f"{workers} workers, " if workers > 1 else ""
    return (
        f"Unbuffered {__version__} on {scheme}://{shown}:{port}/  "
        f"({versions(config.server)}{loop}, {python}, {number}process {os.getpid()})\n"
        f"{route_table(config)}\n"
        f"{inspector_line(config, port)}"
        "Ctrl-C stops."
    )


def versions(server: ServerOptions) -> str:
    """The versions of HTTP that are spoken, where they are more than HTTP/1.1."""
    both = server.http2 if server.tls_certificate else server.http2_cleartext
    return "HTTP/2 and HTTP/1.1, " if both else ""


def inspector_line(config: Config, port: int) -> str:
    """Where the inspector is, for whoever may look."""
    if config.inspector.enabled is False:
        return ""
    scheme = "https" if config.server.tls_certificate else "http"
    return f"Inspector: {scheme}://localhost:{port}/_unbuffered/\n"


async def serve(
    config: Config,
    ready: Callable[[Server], None] | None = None,
    *,
    read: Callable[[], Config] | None = None,
    watch: Path | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; `ready` is called once it listens.

    `read` reads the configuration anew, at SIGHUP and when `watch` changes.
    """
    signals = Signals()
    raise_limit()
    prepare_for(config.routes.values())
    server = Server(config, observers=observers(config))
    reloader = None
    if read is not None:
        reloader = Reloader(server, read, observers, watch)
        signals.on_hangup(reloader.ask)
    try:
        with listening(config):
            await server.start()
    except (ConfigError, CertificateFault) as fault:
        print_error("; ".join(faults_of(fault)))
        return FAILED
    say(banner(config, server.port))
    if ready is not None:
        ready(server)
    loop = asyncio.get_running_loop()
    tasks = []
    if reloader is not None:
        tasks.append(loop.create_task(reloader.run()))
        if watch is not None:
            tasks.append(loop.create_task(reloader.watch()))
    await signals.stop()
    await cancelled(tasks)
    seconds = server.config.server.drain_seconds
    begun = partial(say_draining, seconds=seconds)
    return say_ended(*await drain(server, seconds, begun, signals.stop()))


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
