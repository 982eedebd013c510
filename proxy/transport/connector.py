"""Connecting to a target: its addresses, TLS. Names are `resolver`'s business.

All addresses of a name are tried, IPv6 and IPv4 interleaved with a head start
(RFC 8305, by aiohappyeyeballs as in aiohttp), so that `localhost` works
whether the upstream listens on ::1 or on 127.0.0.1. Translates what sockets,
name look-ups and TLS have to say into our failures; nothing else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from proxy.config.route import Route
from proxy.config.target import Target
from proxy.errors import (
    DescriptorsExhausted,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnreachable,
)
from proxy.transport.fd_limit import EXHAUSTED, limit
from proxy.transport.resolver import Resolver, prepare
from proxy.transport.upstream_tls import handshake_failed

Made = TypeVar("Made", bound=asyncio.Protocol)
Factory: TypeAlias = Callable[[], Made]
Connected: TypeAlias = tuple[asyncio.Transport, asyncio.Protocol]
TCP = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")  # of an address, after its family

HEAD_START = 0.25  # seconds before the next address is tried too (RFC 8305 §5)
# Both, whatever the hosts file says and whether or not the machine has an IPv6
# address of its own: a resolver leaves ::1 out where either has it so.
LOOPBACK = ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))


class Connector:
    """Opens connections to one target; `tls` is None where it speaks plain HTTP."""

    def __init__(
        self, target: Target, tls: ssl.SSLContext | None, resolver: Resolver
    ) -> None:
        self.target = target
        self.tls = tls
        self.resolver = resolver
        self.fixed = fixed_addresses(target.host, target.port)
        # Connections that nobody waits for any more, and that have yet to end.
        self.abandoned: set[asyncio.Task[Connected]] = set()

    async def connect(self, factory: Factory[Made]) -> Made:
        """Open one connection and return its protocol.

        Raises:
            UpstreamError: not resolved, refused, unreachable, or TLS failed.
            DescriptorsExhausted: this process has none left.
        """
        if self.target.socket_path is not None:
            return await self.connect_unix(factory, self.target.socket_path)
        addresses = await self.resolve()
        try:
            sock = await start_connection(
                addresses, happy_eyeballs_delay=HEAD_START, interleave=1
            )
        except (OSError, RuntimeError) as fault:  # uvloop's may be the latter
            self.resolver.forget(self.target.host)
            raise unreachable(fault, shown(addresses)) from fault
        return await self.handshake(factory, sock)

    async def connect_unix(self, factory: Factory[Made], path: str) -> Made:
        """Open one connection to a Unix socket."""
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_unix_connection(factory, path)
        except OSError as fault:
            raise unreachable(fault, f"unix:{path}") from fault
        return made

    async def handshake(self, factory: Factory[Made], sock: socket.socket) -> Made:
        """Make a connection of a connected socket, after TLS if that is asked for.

        From here on the socket is the transport's. If it were closed under it, the
        number of its descriptor would go to the next client, and the transport
        would listen to that one.
        """
        loop = asyncio.get_running_loop()
        name = self.target.server_name if self.tls is not None else None
        making = loop.create_task(
            loop.create_connection(
                factory, sock=sock, ssl=self.tls, server_hostname=name
            )
        )
        try:
            _, made = await asyncio.shield(making)
        except asyncio.CancelledError:
            self.abandon(making, sock)
            raise
        except OSError as fault:
            release(sock)
            if self.tls is not None:
                raise handshake_failed(fault, self.target) from fault
            raise unreachable(fault, str(self.target)) from fault
        return made

    def abandon(self, making: asyncio.Task[Connected], sock: socket.socket) -> None:
        """Have a connection end that nobody waits for any more.

        The loops cannot cancel this cleanly in every turn: where TLS was just
        agreed on, asyncio's transport lives on to close it in order. So the end of
        the connection is brought about instead, which it meets in any state.
        """
        with contextlib.suppress(OSError):  # it has left already
            sock.shutdown(socket.SHUT_RDWR)
        self.abandoned.add(making)
        making.add_done_callback(lambda making: self.ended(making, sock))

    def ended(self, making: asyncio.Task[Connected], sock: socket.socket) -> None:
        """What was abandoned has ended, or stands after all."""
        self.abandoned.discard(making)
        if making.cancelled():  # with its loop
            return
        if making.exception() is not None:
            release(sock)
        else:
            transport, _ = making.result()
            transport.abort()

    async def resolve(self) -> list[AddrInfoType]:
        """The addresses of the target.

        Raises:
            UpstreamUnresolved: it has none, or nobody knows.
        """
        if self.fixed:
            return self.fixed
        found = await self.resolver.resolve(self.target.host)
        port = self.target.port
        return [(family, *TCP, (host, port)) for family, host in found]


def release(sock: socket.socket) -> None:
    """Let go of a socket whose transport has failed, and closes it.

    uvloop closes the descriptor of one that failed early without a word to its
    Python object, which would close the number again, whoever has it by then.
    """
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        sock.detach()


def fixed_addresses(host: str, port: int) -> list[AddrInfoType]:
    """The addresses of a host that no look-up has to tell; none of a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        if not is_localhost(host):
            return []
        return [(family, *TCP, (address, port)) for family, address in LOOPBACK]
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    return [(family, *TCP, (host, port))]


def prepare_for(routes: Iterable[Route]) -> None:
    """Do now what the first look-up of a name would wait for, if there are names."""
    for route in routes:
        for target in route.targets:
            if not target.socket_path and not fixed_addresses(target.host, 0):
                prepare()


def is_localhost(host: str) -> bool:
    """Is the name one that never leaves this machine (RFC 6761 §6.3)?"""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def shown(addresses: list[AddrInfoType]) -> str:
    """The addresses that were tried, as people write them."""
    return ", ".join(
        f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        for family, _, _, _, (host, port, *_) in addresses
    )


def unreachable(
    fault: OSError | RuntimeError, tried: str
) -> UpstreamError | DescriptorsExhausted:
    """Say in our words why nothing that was tried could be connected to."""
    number = getattr(fault, "errno", None)
    if number in EXHAUSTED:
        return DescriptorsExhausted(
            "the proxy has no free file descriptor for a connection: its limit is "
            f"{limit()} (ulimit -n)"
        )
    if number == errno.ENOENT:
        return UpstreamRefused(f"nothing listens at {tried}: the socket does not exist")
    if number == errno.EACCES and tried.startswith("unix:"):
        return UpstreamUnreachable(
            f"{tried}: permission denied: the proxy needs write permission on the "
            "socket to connect"
        )
    # Where addresses failed for different reasons (::1 is off, 127.0.0.1
    # refuses) the library names all and has no number: one refusal decides.
    if number == errno.ECONNREFUSED or (
        number is None and f"[Errno {errno.ECONNREFUSED}]" in str(fault)
    ):
        return UpstreamRefused(f"nothing listens at {tried}")
    reason = os.strerror(number) if number else str(fault)
    return UpstreamUnreachable(f"{tried} is unreachable: {reason}")
