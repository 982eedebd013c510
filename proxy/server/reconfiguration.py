"""Another configuration for a server that runs: all of it, or nothing.

What can fail is made first, beside what is there; then all is exchanged in one turn of
the event loop; then what was there before is let go.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.record_tap import TapeMaker
from proxy.exchange.route_taps import fit_taps
from proxy.internal_errors import report
from proxy.server.all_listeners import AllListeners
from proxy.server.health_checks import HealthChecks
from proxy.timeline import Timeline
from proxy.transport.ticker import Ticker


class ConfiguredServer(Protocol):
    """Whose it is."""

    config: Config
    compiled: CompiledRoutes
    observers: tuple[Callable[[Timeline], None], ...]
    tapes: TapeMaker | None
    ticker: Ticker
    listeners: AllListeners
    health_checks: HealthChecks

    def configure(self, config: Config, compiled: CompiledRoutes) -> None:
        """Be as a configuration says, for all that comes from now on."""


async def reconfigure(
    server: ConfiguredServer,
    config: Config,
    sockets: Sequence[socket.socket],
    observers: Sequence[Callable[[Timeline], None]] | None,
) -> None:
    """Serve by it; `sockets` and `observers` as in `Server.reload`."""
    before, known = server.config, server.compiled
    compiled = CompiledRoutes(config, server.ticker, known)
    fit_taps(compiled, server.tapes)
    prepared = None
    try:
        prepared = await server.listeners.prepare(config, sockets)
        server.configure(config, compiled)
        server.listeners.adopt(config, prepared)
    except BaseException:
        if prepared is not None:
            server.listeners.discard(prepared)
        with contextlib.suppress(ConfigError):  # the first fault is the one to tell
            server.configure(before, known)
        compiled.close(known)
        raise
    if observers is not None:
        server.observers = tuple(observers)
    try:
        server.health_checks.configure(compiled.upstreams)
        known.close(compiled)
    except Exception as error:  # it serves by the other one already
        report("closing upstream connections of the previous configuration", error)
    await server.listeners.retire(public=not sockets)
