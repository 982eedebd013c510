"""TLS with a client, before there is a connection of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn, Protocol, cast
from weakref import WeakSet

from proxy.timeline import http_date

log = logging.getLogger("unbuffered")

PROXY_PROTOCOL = (
    "the PROXY protocol, which is not spoken: switch it off at the load balancer "
    "(HAProxy: send-proxy); the address of a client comes from X-Forwarded-For, of "
    "those in trusted_proxies ([server])"
)
PLAIN_HTTP = "plain HTTP on the TLS port: use https:// in the URL"


class Door(Protocol):
    """Who is let in, before TLS tells who it is."""

    # Those that have begun TLS and not ended it.
    handshakes: WeakSet[object]

    def admits_handshake(self) -> bool:
        """May one more begin?"""


class Handshake(ssl.SSLObject):
    """TLS with a client; one that fails is told, since asyncio would not.

    The loops ask for it as soon as a connection is accepted, long before there is
    a client: so here it is counted, and refused where it is one too many.
    """

    door: Door
    accepting: asyncio.Task[object] | None
    begun = False
    answered = False  # what has come is no TLS, and the client was told so
    incoming: ssl.MemoryBIO | None = None  # from the client
    outgoing: ssl.MemoryBIO | None = None
    server_name: str | None = None  # that the client has sent (SNI), for the inspector

    def __new__(cls) -> Handshake:
        self = super().__new__(cls)
        # asyncio accepts in a task that ends with the handshake, also where the
        # client just leaves. That one is kept by a cycle until the collector of
        # garbage comes; uvloop has neither task nor cycle.
        self.accepting = asyncio.current_task()
        return self

    def do_handshake(self) -> None:
        if not self.begun:
            self.begun = True
            if not self.door.admits_handshake():
                raise ssl.SSLError("the proxy accepts no more connections")
            self.door.handshakes.add(self)
            if self.accepting is not None:
                self.accepting.add_done_callback(self.ended)
                self.accepting = None
        if self.answered:
            self.wait_for_leaving()
        try:
            with names_untold():
                super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as fault:
            rest = self.incoming.read() if self.incoming is not None else b""
            if is_proxy_protocol(rest):
                log.info("a client was rejected: %s", PROXY_PROTOCOL)
                self.door.handshakes.discard(self)
                raise
            if is_plain_http(fault, rest):
                log.info("a client was rejected: %s", PLAIN_HTTP)
                self.answer_plain_http()
            log.info("a client was rejected: %s", handshake_fault(fault))
            self.door.handshakes.discard(self)
            raise
        self.door.handshakes.discard(self)

    def ended(self, task: asyncio.Task[object]) -> None:
        """Complete, failed, or its client has left. Called by the loop."""
        self.door.handshakes.discard(self)

    def answer_plain_http(self) -> None:
        """Have the loop send a response as if it were of the handshake.

        Whoever gets it closes the connection; who does not is closed when the time
        for a handshake is over.
        """
        if self.outgoing is None:
            return
        self.outgoing.read()  # perhaps an alert of TLS
        self.outgoing.write(plain_http_response())
        self.answered = True
        self.wait_for_leaving()

    def wait_for_leaving(self) -> NoReturn:
        """Take what comes, and say to the loop that the handshake is under way."""
        if self.incoming is not None:
            self.incoming.read()
        raise ssl.SSLWantReadError


class ClientContext(ssl.SSLContext):
    """A context whose handshakes know where bytes come from, and where they go."""

    expires: float | None = None  # of the certificate, in seconds since the epoch
    # The same of those that it shows for other names, by their tables.
    beside: Mapping[str, float | None] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the loops ask for it."""
        made = super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session
        )
        if isinstance(made, Handshake):
            made.incoming, made.outgoing = incoming, outgoing
        return made


def is_plain_http(fault: ssl.SSLError, rest: bytes) -> bool:
    """Has the client sent a request without TLS? OpenSSL tells of four methods.

    Of any other it has taken the bytes of a record's header; `rest` came behind them.
    """
    return fault.reason == "HTTP_REQUEST" or b" HTTP/1." in rest.partition(b"\r\n")[0]


def is_proxy_protocol(rest: bytes) -> bool:
    """Has a balancer in front sent the PROXY protocol (version 1 or 2)?"""
    return rest.startswith((b"\r\nQUIT\n", b" TCP4 ", b" TCP6 ", b" UNKNOWN"))


def plain_http_response() -> bytes:
    """What a client gets that speaks plain HTTP on the TLS port."""
    body = b"This port speaks HTTPS: use https:// in the URL.\n"
    return (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"Date: %b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n"
        b"Connection: close\r\n\r\n%b"
    ) % (http_date(), len(body), body)


def note_server_name(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    """As `sni_callback`: nothing else tells a server the name."""
    cast("Handshake", tls).server_name = name


@contextlib.contextmanager
def names_untold() -> Iterator[None]:
    """Print no traceback of a server name that is not ASCII.

    CPython fails the handshake, of which `do_handshake` tells, and prints it too.
    """
    before = sys.unraisablehook

    def told(fault: sys.UnraisableHookArgs) -> None:
        if fault.exc_type is not UnicodeDecodeError or type(fault.object) is not bytes:
            before(fault)

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = before


def handshake_fault(fault: ssl.SSLError) -> str:
    """What went wrong, for the person who has to change an address."""
    if fault.reason == "CALLBACK_FAILED":
        return "the TLS handshake failed: the server name (SNI) is not ASCII"
    words = (fault.reason or str(fault)).replace("_", " ").lower()
    return f"the TLS handshake failed: {words}"
