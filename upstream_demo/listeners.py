"""Sockets of a service: on every address that `localhost` may mean, one port."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiohttp import web

from proxy.system.port_holder import holder_note

LOOPBACK = ("127.0.0.1", "localhost")
WILDCARDS = ("::", "0.0.0.0")  # `::` is all networks, IPv4 too
# Ports that are tried in turn, and then ports of the system's choice: one that is
# free on 127.0.0.1 may be taken on ::1; the next one is not.
ATTEMPTS = 20
LAST_PORT = 65535
# BSD and macOS let a program listen at 127.0.0.1 where another one has all addresses.
BIND_TELLS = sys.platform in ("linux", "win32")
PROBE_SECONDS = 1.0  # for a connection to this machine
# Seconds a stop waits for requests. Streams are broken before, by their tally.
STOP_SECONDS = 0.1


def listen(
    service: str,
    host: str,
    port: int,
    *,
    any_port: bool = False,
    avoid: Collection[int] = (),
) -> list[socket.socket]:
    """Bind `port`, or with `any_port` the next free one that is not to `avoid`.

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
                f"{service}: port {port} is in use{holder_note(host, port)}; stop "
                "the program that uses it, or choose another port",
            ) from error
    return listen_next(service, host, port, avoid)


def listen_next(
    service: str, host: str, port: int, avoid: Collection[int]
) -> list[socket.socket]:
    """Bind the next port that is free, or else any."""
    following = range(port + 1, min(port + ATTEMPTS, LAST_PORT) + 1)
    near = [each for each in following if each not in avoid]
    for candidate in [*near, *[0] * ATTEMPTS]:
        try:
            return bind_all(addresses(host), candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"{service}: no free port on {host}")


def addresses(host: str) -> list[str]:
    """What to bind for `host`: both loopbacks where there are two.

    A browser may resolve `localhost` to either of them.
    """
    if host == WILDCARDS[0]:
        return [*WILDCARDS]
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
    if not BIND_TELLS and port and answers(host, port):
        raise OSError(errno.EADDRINUSE, f"port {port} answers")
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Else another program may have all addresses, or the same one.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # There, it would let two processes have the same port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def answers(host: str, port: int) -> bool:
    """Does somebody accept connections there?"""
    try:
        socket.create_connection((host, port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


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
