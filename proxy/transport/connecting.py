"""Connecting to a target: its name, its addresses, TLS.

All addresses of a name are tried, IPv6 and IPv4 interleaved with a head start
(RFC 8305, by aiohappyeyeballs as in aiohttp), so that `localhost` works
whether the upstream listens on ::1 or on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp import ThreadedResolver

from proxy.config.target import Target
from proxy.errors import (
    UpstreamError,
    UpstreamRefused,
    UpstreamTLSFailed,
    UpstreamUnreachable,
    UpstreamUnresolved,
)
from proxy.timeline import monotonic

Made = TypeVar("Made", bound=asyncio.Protocol)
Factory: TypeAlias = Callable[[], Made]

HEAD_START = 0.25  # seconds before the next address is tried too (RFC 8305 §5)
NAME_SECONDS = 5.0  # how long the addresses of a name are remembered
REFUSED = (errno.ECONNREFUSED, errno.ENOENT)  # ENOENT: no such Unix socket


class Connector:
    """Opens connections to one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.addresses: list[AddrInfoType] = []
        self.resolved = float("-inf")
        self.tls = ssl.create_default_context() if target.tls else None

    async def connect(self, factory: Factory[Made]) -> Made:
        """Open one connection and return its protocol.

        Raises:
            UpstreamError: not resolved, refused, unreachable, or TLS failed.
        """
        try:
            return await self.open(factory)
        except ssl.SSLError as fault:
            raise UpstreamTLSFailed(
                f"TLS with the upstream failed: {fault.reason or fault}"
            ) from fault
        except socket.gaierror as fault:
            raise UpstreamUnresolved(
                f"the name {self.target.host!r} cannot be resolved: {fault.strerror}"
            ) from fault
        except OSError as fault:
            error = self.unreachable(fault)
            self.addresses = []  # the name may have moved
            raise error from fault

    async def open(self, factory: Factory[Made]) -> Made:
        loop = asyncio.get_running_loop()
        if self.target.socket_path is not None:
            _, made = await loop.create_unix_connection(
                factory, self.target.socket_path
            )
            return made
        sock = await start_connection(
            await self.resolve(), happy_eyeballs_delay=HEAD_START, interleave=1
        )
        name = self.target.host if self.tls is not None else None
        try:
            _, made = await loop.create_connection(
                factory, sock=sock, ssl=self.tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return made

    async def resolve(self) -> list[AddrInfoType]:
        """The addresses of the target, remembered for a short time."""
        if self.addresses and monotonic() - self.resolved < NAME_SECONDS:
            return self.addresses
        host, port = self.target.host, self.target.port
        try:
            family = {4: socket.AF_INET, 6: socket.AF_INET6}[
                ipaddress.ip_address(host).version
            ]
            self.addresses = [
                (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
            ]
        except ValueError:
            found = await ThreadedResolver().resolve(host, port, socket.AF_UNSPEC)
            self.addresses = [
                (
                    each["family"],
                    socket.SOCK_STREAM,
                    socket.IPPROTO_TCP,
                    "",
                    (each["host"], each["port"]),
                )
                for each in found
            ]
        self.resolved = monotonic()
        return self.addresses

    def unreachable(self, fault: OSError) -> UpstreamError:
        """Say in our words why no address could be reached."""
        tried = self.target.socket_path or ", ".join(
            f"[{each[4][0]}]:{each[4][1]}"
            if each[0] == socket.AF_INET6
            else f"{each[4][0]}:{each[4][1]}"
            for each in self.addresses
        )
        if fault.errno in REFUSED:
            return UpstreamRefused(f"nothing listens at {tried or self.target}")
        reason = fault.strerror or str(fault)
        return UpstreamUnreachable(f"{tried or self.target} is unreachable: {reason}")
