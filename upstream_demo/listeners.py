"""Sockets of a service: on every address that `localhost` may mean, one port."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

LOOPBACK = ("127.0.0.1", "localhost")
# A port that is free on 127.0.0.1 may be taken on ::1; the next one is not.
ATTEMPTS = 20
# Seconds a stop waits for requests. Streams are broken before, by their tally.
STOP_SECONDS = 0.1


def listen(
    service: str, host: str, port: int, *, any_port: bool = False
) -> list[socket.socket]:
    """Bind `port`, or with `any_port` a free one if it is taken.

    Raises:
        OSError: names the service, the port and what to do.
    """
    try:
        return bind_all(addresses(host), port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(
                error.errno, f"{service}: cannot listen on {host}:{port}: {error}"
            ) from error
        if not any_port:
            raise OSError(
                errno.EADDRINUSE,
                f"{service}: port {port} is in use; stop the program that uses it, "
                "or choose another port",
            ) from error
    return listen_anywhere(service, host)


def listen_anywhere(service: str, host: str) -> list[socket.socket]:
    for _ in range(ATTEMPTS):
        try:
            return bind_all(addresses(host), 0)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"{service}: no free port on {host}")


def addresses(host: str) -> list[str]:
    """What to bind for `host`: both loopbacks where there are two.

    A browser may resolve `localhost` to either of them.
    """
    if host not in LOOPBACK:
        return [host]
    return ["127.0.0.1", "::1"] if has_ipv6_loopback() else ["127.0.0.1"]


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def bind_all(hosts: list[str], port: int) -> list[socket.socket]:
    """One listening socket per host, all on the port that the first one gets."""
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            sockets.append(bind(host, port))
            port = port_of(sockets)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Elsewhere it would let two processes have the same port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def port_of(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1]
    return port


@asynccontextmanager
async def serve(
    app: web.Application, sockets: list[socket.socket]
) -> AsyncIterator[None]:
    """Serve `app` on `sockets`, which it closes, until the block is left."""
    runner = web.AppRunner(
        app,
        # A client that leaves ends its handler, in whatever that waits for.
        handler_cancellation=True,
        # An upload is measured as it came.
        auto_decompress=False,
        access_log=None,
        shutdown_timeout=STOP_SECONDS,
    )
    try:
        await runner.setup()
        for each in sockets:
            await web.SockSite(runner, each).start()
        yield
    finally:
        await runner.cleanup()
        for each in sockets:
            each.close()
