"""Connecting to a target: its name, its addresses, TLS.

All addresses of a name are tried, IPv6 and IPv4 interleaved with a head start
(RFC 8305, by aiohappyeyeballs as in aiohttp), so that `localhost` works
whether the upstream listens on ::1 or on 127.0.0.1. Translates what sockets,
name look-ups and TLS have to say into our failures; nothing else does.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp import ThreadedResolver

from proxy.config.target import Target
from proxy.errors import (
    DescriptorsExhausted,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnreachable,
    UpstreamUnresolved,
)
from proxy.timeline import monotonic
from proxy.transport.descriptors import EXHAUSTED, limit
from proxy.transport.trust import handshake_failed

Made = TypeVar("Made", bound=asyncio.Protocol)
Factory: TypeAlias = Callable[[], Made]

HEAD_START = 0.25  # seconds before the next address is tried too (RFC 8305 §5)
NAME_SECONDS = 5.0  # how long the addresses of a name are remembered
# Both, whatever the hosts file says and whether or not the machine has an IPv6
# address of its own: a resolver leaves ::1 out where either has it so.
LOOPBACK = ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))


class Connector:
    """Opens connections to one target; `tls` is None where it speaks plain HTTP."""

    def __init__(self, target: Target, tls: ssl.SSLContext | None) -> None:
        self.target = target
        self.tls = tls
        self.addresses: list[AddrInfoType] = []
        self.resolved = float("-inf")

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
            self.addresses = []  # the name may have moved
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
        """Make a connection of a connected socket, after TLS if that is asked for."""
        loop = asyncio.get_running_loop()
        name = self.target.server_name if self.tls is not None else None
        try:
            _, made = await loop.create_connection(
                factory, sock=sock, ssl=self.tls, server_hostname=name
            )
        except BaseException as fault:
            sock.close()
            if self.tls is not None and isinstance(fault, OSError):
                raise handshake_failed(fault, self.target) from fault
            if isinstance(fault, OSError):
                raise unreachable(fault, str(self.target)) from fault
            raise
        return made

    async def resolve(self) -> list[AddrInfoType]:
        """The addresses of the target, remembered for a short time.

        Raises:
            UpstreamUnresolved: it has none, or nobody knows.
        """
        if self.addresses and monotonic() - self.resolved < NAME_SECONDS:
            return self.addresses
        host, port = self.target.host, self.target.port
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            if is_localhost(host):
                self.addresses = [address_info(*each, port) for each in LOOPBACK]
            else:
                self.addresses = await self.look_up(host, port)
        else:
            family = socket.AF_INET6 if version == 6 else socket.AF_INET
            self.addresses = [address_info(family, host, port)]
        self.resolved = monotonic()
        return self.addresses

    async def look_up(self, host: str, port: int) -> list[AddrInfoType]:
        try:
            found = await ThreadedResolver().resolve(host, port, socket.AF_UNSPEC)
        except OSError as fault:
            reason = fault.strerror or str(fault)
            raise UpstreamUnresolved(
                f"the name {host!r} cannot be resolved: {reason}"
            ) from fault
        return [address_info(e["family"], e["host"], e["port"]) for e in found]


def is_localhost(host: str) -> bool:
    """Is the name one that never leaves this machine (RFC 6761 §6.3)?"""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def address_info(family: int, host: str, port: int) -> AddrInfoType:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


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
            "the proxy has no file descriptor left to connect with: its limit is "
            f"{limit()} (ulimit -n)"
        )
    if number == errno.ENOENT:
        return UpstreamRefused(f"nothing listens at {tried}: no such socket")
    if number == errno.EACCES and tried.startswith("unix:"):
        return UpstreamUnreachable(
            f"{tried} is closed to the proxy: permission denied; a client of a "
            "socket needs the right to write to it"
        )
    # Where addresses failed for different reasons (::1 is off, 127.0.0.1
    # refuses) the library names all and has no number: one refusal decides.
    if number == errno.ECONNREFUSED or (
        number is None and f"[Errno {errno.ECONNREFUSED}]" in str(fault)
    ):
        return UpstreamRefused(f"nothing listens at {tried}")
    reason = os.strerror(number) if number else str(fault)
    return UpstreamUnreachable(f"{tried} is unreachable: {reason}")
