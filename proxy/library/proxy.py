"""`unbuffered.Proxy`: a proxy inside another program.

Nothing of the host is touched: no signal, no logging, no event loop policy, no handler
of its loop. Several can run in one process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from proxy.config.certificate import CertificateFault
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.inspector.exchange_history import counted
from proxy.library.given_config import Routes, config_of_file, given_config
from proxy.library.loop_thread import HostLoop, LoopThread
from proxy.library.pending import Pending, running_loop
from proxy.library.seen_exchange import Exchange, seen
from proxy.library.server_end import ServerEnd, check_seconds
from proxy.line_writer import WRITERS
from proxy.process.inspector_link import AutoToken, admin_url
from proxy.process.process import observers
from proxy.process.reload import (
    apply,
    asks_for_restart,
    faults_of,
    listening,
    log_warnings,
)
from proxy.server.server import Observer, Server
from proxy.timeline import Timeline, wall_clock
from proxy.transport.connector import prepare_for

PORT = "port="  # how another port is chosen, for messages
FLUSH_SECONDS = 0.5  # at the end, for the access log to be written

T = TypeVar("T")
OnEnd: TypeAlias = Callable[[Exchange], object]


class Proxy:
    """A proxy that listens while it is in use as a context manager.

    ```python
    async with unbuffered.Proxy({"/": "http://localhost:8002"}) as proxy:
        print(proxy.url)
    ```

    With `async with` it runs on the event loop of the caller, with `with` (or between
    `start()` and `stop()`) on a loop in a thread of its own. Its methods may be called
    from any thread. `reload`, `drain` and `wait_ended` begin at once and return a
    `Pending`: `await` it, or call its `result()` where no event loop runs.

    At the end it drains: it accepts no more, lets open exchanges end for up to
    `drain_seconds` of `[server]` (here 1.0 by default) and cuts the rest.

    Args:
        routes: prefix to target. A string is what `unbuffered serve --route` makes of
            it: the prefix is stripped, the target's host is sent, WebSocket passes. A
            mapping is the table of the route in the configuration file.
        host: the address to listen on; by default 127.0.0.1.
        port: the port to listen on; by default 0, any free one.
        tables: the other tables of the configuration file, such as
            `server={"http2_cleartext": True}`. The access log is off by default.

    Raises:
        ConfigError: the configuration is faulty; `faults` has a line for each fault.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        host: str | None = None,
        port: int | None = None,
        **tables: Mapping[str, object],
    ) -> None:
        def read(others: Routes | None) -> Config:
            given = routes if others is None else others
            return given_config(given, tables, host, port)

        self._prepare(read)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        host: str | None = None,
        port: int | None = None,
    ) -> Proxy:
        """A proxy that is configured by a file, as `unbuffered serve --config` is.

        `host` and `port` win over the file. `workers` is taken for 1.

        Raises:
            ConfigError: the file cannot be read, or is faulty.
        """
        proxy = cls.__new__(cls)
        proxy._prepare(lambda others: config_of_file(Path(path), others, host, port))
        return proxy

    def _prepare(self, read: Callable[[Routes | None], Config]) -> None:
        self._read = read
        self._token = AutoToken()
        self._config = self._token.fill(read(None))
        self._server: Server | None = None  # the last one that was started
        self._end: ServerEnd | None = None  # of it
        self._loop: HostLoop | None = None  # on which it runs
        self._port = 0
        self._epoch = 0.0  # what to add to its clock for the seconds of the calendar
        self._stopped = True
        self._callbacks: dict[object, OnEnd] = {}
        self._ended_count = 0
        self._waiters: list[asyncio.Future[None]] = []

    # -- running

    async def __aenter__(self) -> Proxy:
        if running_loop() is None:
            raise RuntimeError(
                "async with Proxy(…) needs an asyncio event loop; use with Proxy(…), "
                "which runs on one of its own"
            )
        await self._start(HostLoop())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and not self._loop.is_forked:
            await self._stop(self._drain_seconds)

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Proxy:
        """Run on an event loop in a thread of its own, until `stop`; returns itself.

        Raises:
            ConfigError: it cannot listen, or a file has changed since the check.
        """
        self._check_idle()
        if isinstance(self._loop, LoopThread) and self._loop.is_here:
            raise RuntimeError("start() cannot be called in the proxy's own thread")
        thread = LoopThread("unbuffered.Proxy")
        try:
            thread.begin("start", lambda: self._start(thread)).result(None)
        except BaseException:
            thread.stop()
            raise
        return self

    def stop(self, drain_seconds: float | None = None) -> None:
        """Drain, and end the thread that `start` began. Again: nothing happens.

        `drain_seconds`: for open exchanges; None: as configured. In a forked child
        nothing happens: the proxy is the parent's.
        """
        thread = self._loop
        if drain_seconds is not None:
            check_seconds("stop", drain_seconds)
        if thread is None or thread.is_forked:
            return
        if not isinstance(thread, LoopThread):
            raise RuntimeError("stop() is for start(): leave the async with block")
        if thread.is_here:
            raise RuntimeError("stop() cannot be called in the proxy's own thread")
        if not thread.thread.is_alive():
            return
        seconds = self._drain_seconds if drain_seconds is None else drain_seconds
        try:
            thread.begin("stop", lambda: self._stop(seconds)).result(None)
        finally:
            thread.stop()

    def _check_idle(self) -> None:
        if not self._stopped:
            raise RuntimeError("this proxy runs already")

    async def _start(self, loop: HostLoop) -> None:
        self._check_idle()
        if isinstance(self._loop, LoopThread):
            self._loop.stop()  # it has drained there, and is not needed any more
        prepare_for(self._config.routes.values())
        log_warnings(self._config)
        server = Server(
            self._config, observers=self._observers(self._config), embedded=True
        )
        try:
            with listening(self._config, choose=PORT):
                await server.start()
        except CertificateFault as fault:
            raise ConfigError(faults_of(fault)) from fault
        self._server, self._loop, self._port = server, loop, server.port
        self._end = ServerEnd(server, partial(self._stop_server, server))
        self._epoch = wall_clock() - server.ticker.clock()
        self._stopped, self._ended_count = False, 0

    async def _stop(self, seconds: float) -> int:
        end = self._end
        return 0 if end is None or self._stopped else await end.within(seconds)

    async def _stop_server(self, server: Server, seconds: float) -> int:
        """The end itself, which goes on whoever is cancelled."""
        try:
            await server.listeners.pause()
            return await server.stop(seconds)
        except asyncio.CancelledError:  # the loop ends
            await server.stop()
            raise
        finally:
            self._stopped = True
            self._wake()
            if server.config.log.access and "access" in WRITERS:
                WRITERS["access"].finish(FLUSH_SECONDS)

    @property
    def _drain_seconds(self) -> float:
        return self._config.server.drain_seconds

    # -- where it is

    @property
    def running(self) -> bool:
        """Does it listen, or drain?"""
        return not self._stopped

    @property
    def port(self) -> int:
        """The port that it listens on; after the end, the one that it had."""
        if not self._port:
            raise RuntimeError("the proxy has not been started")
        return self._port

    @property
    def url(self) -> str:
        """Its address, without a slash at the end: `http://127.0.0.1:49152`."""
        server = self._config.server
        scheme = "https" if server.tls_certificate else "http"
        return f"{scheme}://{own_host(server.host)}:{self.port}"

    @property
    def inspector_url(self) -> str:
        """The address of the inspector, with its token if it has one."""
        token = self._config.inspector.token
        query = f"?token={quote(token, safe='')}" if token else ""
        admin = None if self._server is None else self._server.admin_door.address
        if admin is not None:
            return f"{admin_url(admin).rstrip('/')}/_unbuffered/{query}"
        return f"{self.url}/_unbuffered/{query}"

    # -- what passes

    def exchanges(self) -> list[Exchange]:
        """The last 500 exchanges that ended, then those that run; oldest first."""
        return self._call("exchanges", self._exchanges)

    def on_end(self, callback: OnEnd) -> Callable[[], None]:
        """Have every exchange told that ends from now on; returns what ends that.

        It is called in the thread and on the event loop of the proxy, and must not
        block. What it raises goes to the exception handler of the loop.
        """
        key = object()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def wait_ended(self, count: int = 1) -> Pending[list[Exchange]]:
        """Wait until so many exchanges have ended since the start; returns them.

        A client may have a response a moment before its exchange has ended.

        Raises:
            RuntimeError: the proxy has stopped before that.
        """
        if not isinstance(count, int) or count < 0:
            raise ValueError(
                f"wait_ended: expected a number of exchanges, got {count!r}"
            )
        return self._begin("wait_ended", lambda: self._wait_ended(count))

    def _exchanges(self) -> list[Exchange]:
        server = self._server
        if server is None:
            return []
        open_now = [exchange.timeline for exchange in counted(server.exchanges)]
        return self._ended() + [self._seen(timeline) for timeline in open_now]

    def _ended(self) -> list[Exchange]:
        server = self._server
        recent = () if server is None else server.inspector.history.recent
        return [self._seen(timeline) for timeline in tuple(recent)]

    def _seen(self, timeline: Timeline) -> Exchange:
        assert self._server is not None
        now = self._server.ticker.clock()
        number = self._server.inspector.history.number(timeline)
        return seen(timeline, number, now, self._epoch)

    async def _wait_ended(self, count: int) -> list[Exchange]:
        while self._ended_count < count:
            if self._stopped:
                raise RuntimeError(
                    f"the proxy has stopped: {self._ended_count} of {count} exchanges "
                    "have ended"
                )
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return self._ended()

    def _observers(self, config: Config) -> list[Observer]:
        return [*observers(config), self._has_ended]

    def _has_ended(self, timeline: Timeline) -> None:
        self._ended_count += 1
        self._wake()
        if not self._callbacks:
            return
        exchange = self._seen(timeline)
        for callback in tuple(self._callbacks.values()):
            try:
                callback(exchange)
            except Exception as error:
                context = {
                    "message": f"exception in a callback of on_end: {callback!r}",
                    "exception": error,
                }
                asyncio.get_running_loop().call_exception_handler(context)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- another configuration, and the end

    def reload(self, routes: Routes | None = None) -> Pending[None]:
        """Serve by other routes; exchanges that run keep theirs.

        Without `routes` the file is read again, or the same mappings. Where the
        `Pending` raises, all is as it was.

        Raises:
            ConfigError: the configuration is faulty, or needs a restart.
            RuntimeError: the proxy does not run, or drains.
        """
        return self._begin("reload", lambda: self._reload(routes))

    async def _reload(self, routes: Routes | None) -> None:
        server = self._server
        end = self._end
        if server is None or self._stopped or (end is not None and end.has_begun):
            raise RuntimeError("reload() is for a proxy that runs, and does not drain")
        try:
            await self._serve_by(server, self._token.fill(self._read(routes)))
        except Exception:
            server.reloads.end(succeeded=False)
            raise
        server.reloads.end(succeeded=True)

    async def _serve_by(self, server: Server, config: Config) -> None:
        if refusal := asks_for_restart(self._config, config):
            raise ConfigError([refusal])
        prepare_for(config.routes.values())
        log_warnings(config)
        try:
            await apply(server, config, self._observers, choose=PORT)
        except CertificateFault as fault:
            raise ConfigError(faults_of(fault)) from fault
        self._config, self._port = config, server.port

    def drain(self, seconds: float | None = None) -> Pending[int]:
        """Accept no more, let open exchanges end for so long, and cut the rest.

        Without `seconds`, as configured. The result is how many clients were left with
        half a response. Of several calls the one that ends first counts: `drain(0)`
        cuts what a longer one waits for. To cancel one cuts at once, too.
        """
        limit = self._drain_seconds if seconds is None else seconds
        check_seconds("drain", limit)
        return self._begin("drain", partial(self._stop, limit))

    # -- threads

    def _begin(
        self, what: str, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> Pending[T]:
        if self._loop is None:
            raise RuntimeError(f"cannot call {what}: the proxy has not been started")
        return self._loop.begin(what, function)

    def _call(self, what: str, function: Callable[[], T]) -> T:
        if self._loop is None or self._stopped or self._loop.is_forked:
            return function()  # nothing moves any more
        return self._loop.call(what, function)


def own_host(host: str) -> str:
    """By which host in a URL a program on this machine finds the listener."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{host}]"
    return "127.0.0.1" if address.is_unspecified else host
