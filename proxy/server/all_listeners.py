"""All sockets that clients connect to: opened, moved, closed together.

That of `[server]` and those of `[[listen]]`; whatever one of them cannot do, none does.
Knows which protocol a new connection is given, and nothing of what it then asks for.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import NamedTuple

from proxy.config.model import Config
from proxy.server.further_listeners import (
    NONE_FURTHER,
    Further,
    FurtherListeners,
    ListeningServer,
    Prepared,
)
from proxy.server.listener import TLS, Listener, tls_options
from proxy.transport.client_connection import ClientConnection
from proxy.transport.protocol_choice import ProtocolChoice, SniffedConnection


class PreparedListeners(NamedTuple):
    """What listens as a configuration says, besides what did."""

    public: list[asyncio.Server]
    further: list[Prepared]


class AllListeners:
    """Where a server is reached. `public` is the one of `[server]`."""

    def __init__(self, server: ListeningServer) -> None:
        self.server = server
        self.public = Listener(self.accept, self.accept_tls, server.admission)
        self.further = FurtherListeners(server)

    @property
    def all(self) -> list[Listener]:
        """That of `[server]` first, then as configured."""
        return [self.public, *self.further.listeners]

    @property
    def https_port(self) -> int:
        """The port of the first listener that speaks TLS; 0 if there is none."""
        return next((each.port for each in self.all if each.tls), 0)

    @property
    def tls(self) -> list[TLS]:
        """What each has of TLS."""
        return [each.tls for each in self.all]

    @property
    def certificate_expiries(self) -> list[tuple[str, float]]:
        """When certificates expire, each with the address where it is shown."""
        found = [(each.address, each.certificate_expires) for each in self.all]
        return [(name, expires) for name, expires in found if expires is not None]

    # -- what a new connection is given

    def accept(self) -> ClientConnection:
        """The protocol of one without TLS."""
        server, limits = self.server, self.server.config.server
        if limits.http2_cleartext:
            return SniffedConnection(server, server.ticker, limits)
        return ClientConnection(server, server.ticker, limits)

    def accept_tls(self) -> ProtocolChoice:
        """The protocol of one until TLS says which it speaks."""
        server = self.server
        return ProtocolChoice(server, server.ticker, server.config.server)

    # -- their life

    async def open(
        self,
        config: Config,
        sockets: Sequence[socket.socket] = (),
        tls: TLS | None = None,
        further: Further = NONE_FURTHER,
    ) -> None:
        """Listen; on `sockets`, if they do so already, and by `tls`, if it is known.

        Raises:
            OSError: the address is in use or not ours.
            ConfigError: so is that of a listener beside.
            CertificateFault: the certificate is not what it was at the check.
        """
        if tls is None:
            tls = tls_options(config.server, config.certificate)
        await self.public.open(config.server, sockets, tls)
        self.further.adopt(await self.further.prepare(config, *further))

    async def prepare(
        self, config: Config, sockets: Sequence[socket.socket]
    ) -> PreparedListeners:
        """Listen as a configuration says, too; for `adopt` or `discard`.

        Raises:
            OSError, ConfigError, CertificateFault: as in `open`; all is as it was.
        """
        tls = tls_options(config.server, config.certificate)
        public = await self.public.prepare(config.server, sockets, tls)
        try:
            return PreparedListeners(public, await self.further.prepare(config))
        except BaseException:
            self.public.discard(public)
            raise

    def adopt(self, config: Config, prepared: PreparedListeners) -> None:
        """Accept from what was prepared; elsewhere until `retire`."""
        self.public.adopt(config.server, prepared.public)
        self.further.adopt(prepared.further)

    def discard(self, prepared: PreparedListeners) -> None:
        """Accept no more from what was prepared."""
        self.public.discard(prepared.public)
        self.further.discard(prepared.further)

    async def retire(self, *, public: bool) -> None:
        """Accept no longer at addresses of before; `public`: also of `[server]`."""
        await self.further.retire()
        if public:
            await self.public.retire()

    async def pause(self) -> None:
        """Accept no more, before `close`; what was accepted is begun."""
        await self.public.pause()
        await self.further.pause()

    def close(self) -> None:
        """Accept no more. What was accepted goes on."""
        self.public.close()
        self.further.close()
