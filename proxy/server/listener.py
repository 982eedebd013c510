"""Listening sockets: opened, moved and given other certificates without a gap.

A socket that listens keeps the connections that wait to be accepted. So what
changes is only who accepts: the next server takes a duplicate of the socket
before the last one lets go of it, and no connection is refused. At another address
the last one goes on until nobody waits there any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from proxy.config.certificate import certificate_context
from proxy.config.certificate_expiry import expiry_of
from proxy.config.model import CertificateOptions, ListenOptions, ServerOptions
from proxy.errors import in_words
from proxy.server.certificate_choice import add_certificates
from proxy.server.handshake import (
    ClientContext,
    Door,
    Handshake,
    note_server_name,
)
from proxy.server.port_sharing import (
    CAN_SHARE,
    Address,
    Listening,
    forget_sharing,
    port_of,
    same,
    share,
    shared,
    sockets_of,
    take_no_more,
)
from proxy.system.port_holder import port_fault
from proxy.transport.connection import probe

BACKLOG = 4096
# asyncio accepts as many connections in a row, before any of them can be
# refused; where there are no descriptors left it fails as often, and tries
# again as often (CPython before 3.14).
ACCEPTED_AT_ONCE = 1
HANDSHAKE_SECONDS = 10.0  # for TLS with a client
# For the loop to close TLS. It counts from our close, however much the client still
# takes of the last response: so the limit is ours (proxy.transport.client_timeouts),
# and this one beyond all.
TLS_CLOSE_SECONDS = 24 * 3600.0

PORT_OPTION = "--port"  # how another port is chosen on a command line
REASONS = {
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: (
        "this machine has no IPv6; use 0.0.0.0 for all IPv4 interfaces"
    ),
    errno.EACCES: "permission denied; ports below 1024 usually require root "
    "privileges or CAP_NET_BIND_SERVICE",
}

Factory = Callable[[], asyncio.Protocol]
Settings: TypeAlias = ServerOptions | ListenOptions


TLS: TypeAlias = dict[str, Any]  # what `create_server` has to know of it


class Listener:
    """Where clients connect to.

    Each connection gets a protocol of `plain`; by TLS, one of `by_tls`.
    """

    def __init__(self, plain: Factory, by_tls: Factory, door: Door) -> None:
        self.plain = plain
        self.by_tls = by_tls
        self.handshake = type("Handshake", (Handshake,), {"door": door})
        self.settings: Settings | None = None
        self.servers: list[asyncio.Server] = []
        self.address = ""  # as it is configured, with the port that it got; also later
        self.tls: TLS = {}  # as it is spoken
        self.prepared: TLS = {}  # as it was prepared last
        self.retiring: list[asyncio.Server] = []  # at addresses of before
        self.admitting: set[asyncio.Task[None]] = set()

    def factory(self, tls: TLS) -> Factory:
        """What makes protocols of connections."""
        return self.by_tls if tls else self.plain

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        return port_of(self.servers)

    @property
    def certificate_expires(self) -> float | None:
        """When the first of those that it shows expires; None: it shows none."""
        if not self.tls:
            return None
        context: ClientContext = self.tls["ssl"]
        dates = [context.expires, *context.beside.values()]
        return min((each for each in dates if each is not None), default=None)

    @property
    def sockets(self) -> list[Listening]:
        """What is accepted from."""
        return sockets_of(self.servers)

    async def open(
        self,
        settings: Settings,
        sockets: Sequence[socket.socket] = (),
        tls: TLS | None = None,
    ) -> None:
        """Listen as `settings` say, then no longer as before: `prepare` and `adopt`."""
        self.adopt(settings, await self.prepare(settings, sockets, tls))

    async def prepare(
        self,
        settings: Settings,
        sockets: Sequence[socket.socket] = (),
        tls: TLS | None = None,
    ) -> list[asyncio.Server]:
        """Listen as `settings` say too; for `adopt` or `discard`.

        `sockets` listen there already, and are this listener's from now on; they
        are not looked at where the address has not changed. `tls` is what
        `tls_options` has made of the settings, if it was asked already.

        Raises:
            OSError: the address is in use or not ours; all is as it was.
            CertificateFault: so is it with a wrong certificate.
        """
        tls = tls_options(settings) if tls is None else tls
        if tls:
            tls["ssl"].sslobject_class = self.handshake
        self.prepared = tls
        before = self.settings
        if before is not None and is_same_address(before, settings):
            if not tls and not before.tls_certificate:
                return self.servers
            return await self.take_over(tls)
        if sockets:
            return await self.accept_from(sockets, tls)
        return await self.bind(settings, tls)

    async def bind(self, settings: Settings, tls: TLS) -> list[asyncio.Server]:
        """New servers, on the same port where there are several."""
        made: list[asyncio.Server] = []
        port = settings.port
        try:
            for host in hosts(settings.host):
                beside = [*self.sockets, *sockets_of(made)]
                made.append(await self.create(host, port, tls, beside))
                deepen(made[-1])
                port = made[-1].sockets[0].getsockname()[1]
        except BaseException:
            for server in made:
                server.close()
            raise
        return made

    async def create(
        self, host: str, port: int, tls: TLS, beside: Sequence[Listening]
    ) -> asyncio.Server:
        """One new server; also where only sockets of this listener are in its way."""
        given = {"host": host, "port": port, **tls}
        factory = self.factory(tls)
        try:
            return await listen(factory, **given)
        except OSError as fault:
            ours = fault.errno == errno.EADDRINUSE and self.servers
            if not ours or port != self.port or not CAN_SHARE:
                raise
        with shared(beside):
            made = await listen(factory, reuse_port=True, **given)
            forget_sharing(port)
        share(made.sockets, shared=False)
        return made

    def adopt(self, settings: Settings, servers: list[asyncio.Server]) -> None:
        """Accept from what was prepared; elsewhere, from both until `retire`."""
        old, self.servers = self.servers, servers
        before, self.settings = self.settings, settings
        self.tls = self.prepared
        host, port = settings.host, port_of(servers)
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if old is servers:
            return
        if before is not None and not is_same_address(before, settings):
            self.retiring += old
        else:
            for server in old:
                server.close()

    async def retire(self) -> None:
        """Accept no longer at addresses of before, but who waits there is let in."""
        old, self.retiring = self.retiring, []
        if not old:
            return
        left = sockets_of(old)
        kept = self.sockets
        given_up = [each for each in left if not any(same(each, one) for one in kept)]
        try:
            for each in given_up:
                take_no_more(each)
            await begin_accepted(left)
        finally:
            for each in given_up:
                self.admit_waiting(each)
            for server in old:
                server.close()

    def admit_waiting(self, listening: Listening) -> None:
        """Accept what waits, up to the moment in which the socket is closed."""
        loop = asyncio.get_running_loop()
        what = listening.fileno(), listening.family, listening.type
        with contextlib.suppress(OSError), socket.fromfd(*what) as twin:
            twin.setblocking(False)
            for _ in range(BACKLOG):  # until there is none
                sock, _ = twin.accept()
                sock.setblocking(False)
                task = loop.create_task(self.admit(sock))
                self.admitting.add(task)
                task.add_done_callback(self.admitting.discard)

    async def admit(self, sock: socket.socket) -> None:
        """Begin a connection that was accepted here."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # it has left, or TLS failed
            await loop.connect_accepted_socket(self.factory(self.tls), sock, **self.tls)

    async def let_go(self) -> None:
        """Listen nowhere any more; who waits is let in."""
        self.retiring, self.servers = [*self.retiring, *self.servers], []
        await self.retire()

    def discard(self, servers: list[asyncio.Server]) -> None:
        """Accept no more from what was prepared."""
        if servers is not self.servers:
            for server in servers:
                server.close()

    async def take_over(self, tls: TLS) -> list[asyncio.Server]:
        """New servers that accept from the sockets of the present ones too."""
        twins = [
            socket.fromfd(each.fileno(), each.family, each.type)
            for server in self.servers
            for each in server.sockets
        ]
        return await self.accept_from(twins, tls)

    async def accept_from(
        self, sockets: Sequence[socket.socket], tls: TLS
    ) -> list[asyncio.Server]:
        """Servers for sockets that are bound already."""
        made: list[asyncio.Server] = []
        try:
            for each in sockets:
                made.append(await listen(self.factory(tls), sock=each, **tls))
            for server in made:
                deepen(server)
        except BaseException:
            for server in made:
                server.close()
            raise
        return made

    async def pause(self) -> None:
        """Accept no more, before `close`; what was accepted is begun.

        Else what was accepted in the last turn would be dropped without a word.
        """
        await begin_accepted(sockets_of([*self.servers, *self.retiring]))

    def close(self) -> None:
        """Accept no more. What was accepted goes on."""
        for server in (*self.servers, *self.retiring):
            server.close()


async def listen(factory: Factory, **given: Any) -> asyncio.Server:
    """A server that accepts; where that fails or is cancelled, there is none.

    `create_server` waits for a turn when it accepts already. Cancelled in that turn
    its server would go on, and nobody has it to close it.
    """
    loop = asyncio.get_running_loop()
    server: asyncio.Server = await loop.create_server(
        factory, backlog=ACCEPTED_AT_ONCE, start_serving=False, **given
    )
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return server


async def begin_accepted(listening: Sequence[Listening]) -> None:
    """Have a loop accept no more from sockets, and begin what it has accepted.

    asyncio accepts in one turn, and begins each connection in a later one, for which
    its server must be open as yet. uvloop does both at once.
    """
    loop = asyncio.get_running_loop()
    for each in listening:
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.remove_reader(each.fileno())
    for _ in range(2):
        await asyncio.sleep(0)


def hosts(host: str) -> list[str]:
    """What a host to listen on stands for: `::` is all networks, IPv4 too.

    One socket for both would do, but not everywhere, and it would see clients by
    IPv4 as ::ffff:10.0.0.1.
    """
    try:
        everywhere = ipaddress.ip_address(host) == ipaddress.IPv6Address("::")
    except ValueError:
        everywhere = False
    return ["::", "0.0.0.0"] if everywhere else [host]


def addresses(host: str) -> list[Address]:
    """What a host to listen on stands for, each once and in order."""
    found = [
        each
        for name in hosts(host)
        for each in socket.getaddrinfo(
            name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    ]
    return list(
        dict.fromkeys(
            (family, str(where[0]), tuple(map(int, where[2:])))
            for family, *_, where in found
        )
    )


def deepen(server: asyncio.Server) -> None:
    """Have the kernel keep more connections waiting than are accepted in a row.

    And have it find those whose clients vanish.
    """
    for each in server.sockets:
        with socket.fromfd(each.fileno(), each.family, each.type) as twin:
            probe(twin)
            twin.listen(BACKLOG)


def listening_fault(
    host: str,
    port: int,
    fault: OSError,
    choose: str = PORT_OPTION,
    *,
    name: bool = True,
) -> str:
    """Where nothing can listen, and why; `choose` is how another port is chosen.

    `name`: also which program has the port, if that can be seen. It takes time that
    a process with streams has not.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if fault.errno != errno.EADDRINUSE:
        return f"{where}: {REASONS.get(fault.errno or 0) or in_words(fault)}"
    return f"{where}: {port_fault(host, port, choose, name=name)}"


def is_same_address(one: Settings, other: Settings) -> bool:
    """Do both listen in the same place?"""
    return (one.host, one.port) == (other.host, other.port)


def tls_options(
    settings: Settings, certificates: Sequence[CertificateOptions] = ()
) -> TLS:
    """TLS as `settings` say; nothing where it is not spoken.

    `certificates`: those of `[[certificate]]`, which are for other names.

    Raises:
        CertificateFault: a file has changed for the worse since the check.
    """
    if not settings.tls_certificate:
        return {}
    context = certificate_context(
        settings.tls_certificate, settings.tls_key, ClientContext
    )
    context.expires = expiry_of(settings.tls_certificate)
    protocols = ["h2", "http/1.1"] if settings.http2 else ["http/1.1"]
    context.set_alpn_protocols(protocols)  # the first that both speak
    if settings.http2:
        context.sni_callback = note_server_name
    if certificates:
        add_certificates(
            context,
            settings.tls_certificate,
            certificates,
            protocols,
            note_server_name,
        )
    return {
        "ssl": context,
        "ssl_handshake_timeout": HANDSHAKE_SECONDS,
        "ssl_shutdown_timeout": TLS_CLOSE_SECONDS,
    }
