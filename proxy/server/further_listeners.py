"""The listeners of `[[listen]]`: opened, moved and given up as a reload says.

Each is a `Listener` of its own. What they have in common with that of `[server]` is all
that comes behind: admission, routes, limits and the drain.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from proxy.config.certificate import CertificateFault
from proxy.config.listen_reader import listening_name
from proxy.config.model import Config, ListenOptions
from proxy.errors import ConfigError
from proxy.server.https_redirect import HttpsRedirect, RedirectingServer
from proxy.server.listener import (
    TLS,
    Listener,
    is_same_address,
    listening_fault,
    tls_options,
)
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import Http2Handler
from proxy.transport.protocol_choice import ProtocolChoice, SniffedConnection
from proxy.transport.ticker import Ticker

# Of each: its sockets, and its TLS, where they are there already.
Further: TypeAlias = tuple[Sequence[Sequence[socket.socket]], Sequence[TLS]]
NONE_FURTHER: Further = ((), ())
PORT_KEY = "the key port"  # how another port is chosen


class ListeningServer(RedirectingServer, Protocol):
    """Whose they are."""

    config: Config
    ticker: Ticker


class FurtherListener:
    """One of them, with the options that hold for its connections."""

    def __init__(
        self, server: ListeningServer, redirect: HttpsRedirect, options: ListenOptions
    ) -> None:
        self.server = server
        self.redirect = redirect
        self.options = options
        self.listener = Listener(self.accept, self.accept_tls, server.admission)

    def accept(self) -> ClientConnection:
        """The protocol of a new connection without TLS."""
        server, limits = self.server, self.server.config.server
        handler: Http2Handler = server
        if self.options.https_redirect:
            handler = self.redirect
        if self.options.http2_cleartext:
            return SniffedConnection(handler, server.ticker, limits)
        return ClientConnection(handler, server.ticker, limits)

    def accept_tls(self) -> ProtocolChoice:
        """The protocol of a new connection, until TLS says which it speaks."""
        server = self.server
        return ProtocolChoice(server, server.ticker, server.config.server)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One that listens as it is to, besides as it did."""

    further: FurtherListener
    options: ListenOptions
    servers: list[asyncio.Server]


class FurtherListeners:
    """All of them."""

    def __init__(self, server: ListeningServer) -> None:
        self.server = server
        self.redirect = HttpsRedirect(server)
        self.current: list[FurtherListener] = []
        self.given_up: list[FurtherListener] = []

    @property
    def listeners(self) -> list[Listener]:
        """Where is listened now, in their order."""
        return [each.listener for each in self.current]

    async def prepare(
        self,
        config: Config,
        sockets: Sequence[Sequence[socket.socket]] = (),
        tls: Sequence[TLS] = (),
    ) -> list[Prepared]:
        """Listen as `config` says, too; for `adopt` or `discard`.

        `sockets` and `tls`: of each, where they are there already.

        Raises:
            ConfigError: one cannot listen; all is as it was.
            CertificateFault: so is it with a wrong certificate.
        """
        prepared: list[Prepared] = []
        wanted = paired(config.listen, self.current)
        try:
            for number, (options, old) in enumerate(wanted):
                further = old or FurtherListener(self.server, self.redirect, options)
                with told_of(number + 1, options):
                    servers = await further.listener.prepare(
                        options,
                        sockets[number] if sockets else (),
                        tls[number]
                        if tls
                        else tls_options(options, config.certificate),
                    )
                prepared.append(Prepared(further, options, servers))
        except BaseException:
            self.discard(prepared)
            raise
        return prepared

    def adopt(self, prepared: Sequence[Prepared]) -> None:
        """Accept as was prepared; of those that are not wanted, until `retire`."""
        for each in prepared:
            each.further.options = each.options
            each.further.listener.adopt(each.options, each.servers)
        now = [each.further for each in prepared]
        self.given_up += [each for each in self.current if each not in now]
        self.current = now

    def discard(self, prepared: Sequence[Prepared]) -> None:
        """Accept no more from what was prepared."""
        for each in prepared:
            each.further.listener.discard(each.servers)

    async def retire(self) -> None:
        """Accept no longer at addresses of before."""
        given_up, self.given_up = self.given_up, []
        for each in given_up:
            await each.listener.let_go()
        for each in self.current:
            await each.listener.retire()

    async def pause(self) -> None:
        """Accept no more, before `close`; what was accepted is begun."""
        for each in (*self.current, *self.given_up):
            await each.listener.pause()

    def close(self) -> None:
        """Accept no more. What was accepted goes on."""
        for each in (*self.current, *self.given_up):
            each.listener.close()


def paired(
    wanted: Sequence[ListenOptions], listeners: Sequence[FurtherListener]
) -> list[tuple[ListenOptions, FurtherListener | None]]:
    """With each the one that listens there, or else at that port of another address."""
    left = list(listeners)
    found: dict[int, FurtherListener] = {}
    for alike in (listens_there, has_port):
        for number, options in enumerate(wanted):
            for each in left:
                if number not in found and alike(each, options):
                    found[number] = each
                    left.remove(each)
                    break
    return [(options, found.get(number)) for number, options in enumerate(wanted)]


def listens_there(one: FurtherListener, options: ListenOptions) -> bool:
    """Has it the address already?"""
    return is_same_address(one.options, options)


def has_port(one: FurtherListener, options: ListenOptions) -> bool:
    """Has it the port, at another address?"""
    return one.listener.port == options.port


@contextlib.contextmanager
def told_of(
    number: int, options: ListenOptions, *, named: bool = False
) -> Iterator[None]:
    """Name the table in faults; if `named`, also the program that has a port.

    Raises:
        ConfigError: of an address at which it cannot listen.
        CertificateFault.
    """
    name = listening_name(number)
    try:
        yield
    except OSError as fault:
        words = listening_fault(options.host, options.port, fault, PORT_KEY, name=named)
        raise ConfigError([f"{name}: cannot listen on {words}"]) from fault
    except CertificateFault as fault:
        if not fault.place.startswith("[["):  # it is one of [[certificate]]
            fault.place = f"{name}, "
        raise
