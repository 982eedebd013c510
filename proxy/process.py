"""One process: its event loop, its signals, its banner, its logs.

Takes a configuration that is already checked and serves it until a signal
says stop. Exit codes are for `cli` to return.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

from proxy import __version__
from proxy.config.model import Config
from proxy.config.report import route_table
from proxy.observe.accesslog import AccessLog
from proxy.server import Server

log = logging.getLogger("unbuffered")

DRAIN_SECONDS = 5.0  # open exchanges may end within this, after the first signal
OK, FAILED, USAGE = 0, 1, 2


def event_loop() -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The fastest loop there is, and its name: uvloop except on Windows."""
    try:
        import uvloop
    except ImportError:
        return "asyncio", asyncio.new_event_loop
    return f"uvloop {version('uvloop')}", uvloop.new_event_loop


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on that loop and return its exit code."""
    _, factory = event_loop()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def set_up_logging() -> None:
    """Events go to standard error, one line each; the access log to output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def banner(config: Config, port: int) -> str:
    """What is served where, for the person who started it."""
    host = config.server.host
    shown = f"[{host}]" if ":" in host else host
    loop, _ = event_loop()
    return (
        f"Unbuffered {__version__} on http://{shown}:{port}/  "
        f"({loop}, Python {sys.version.split()[0]}, process {os.getpid()})\n"
        f"{route_table(config)}\n"
        "Ctrl-C stops."
    )


async def serve(config: Config, ready: Callable[[Server], None] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; `ready` is called once it listens."""
    stop = stop_signals()
    observers = []
    if config.log.access:
        observers.append(AccessLog(sys.stdout, config.log.format).ended)
    server = Server(config, observers=observers)
    try:
        await server.start()
    except OSError as fault:
        address = f"{config.server.host}:{config.server.port}"
        reason = fault.strerror or str(fault)
        if "address already in use" in str(fault).lower():
            reason = (
                "another program has this port; end it, or choose another with --port"
            )
        print_error(f"cannot listen on {address}: {reason}")
        return FAILED
    print(banner(config, server.port), file=sys.stderr, flush=True)
    if ready is not None:
        ready(server)
    await stop.wait()
    await drain(server, stop)
    return OK


async def drain(server: Server, stop: asyncio.Event) -> None:
    """Let open exchanges end for a while; a second signal ends them at once."""
    stop.clear()
    drained = asyncio.ensure_future(server.stop(DRAIN_SECONDS))
    again = asyncio.ensure_future(stop.wait())
    if server.clients:
        print(
            f"draining {len(server.clients)} connections for up to "
            f"{DRAIN_SECONDS:g} s; once more to stop at once",
            file=sys.stderr,
        )
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    for waiter in (drained, again):
        waiter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiter
    await server.stop()


def stop_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(
                number, lambda *_: loop.call_soon_threadsafe(stop.set) and None
            )
    return stop


def print_error(message: str) -> None:
    """One clear line on standard error."""
    print(f"unbuffered: {message}", file=sys.stderr)
