"""Which protocol the client of a new connection speaks.

By TLS the handshake has settled it (ALPN, RFC 7301). Without TLS, where the
configuration allows it, the first bytes say it: HTTP/2 begins with a preface that no
request of HTTP/1.1 looks like (RFC 9113 §3.4).
"""

from __future__ import annotations

import asyncio

from proxy.config.model import ServerOptions as Limits
from proxy.http2.frames import PREFACE
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import Http2Handler
from proxy.transport.connection import joined
from proxy.transport.http2_connection import Http2Connection
from proxy.transport.ticker import Ticker

H2 = "h2"  # RFC 9113 §3.1


class ProtocolChoice(asyncio.Protocol):
    """Stands where a connection will, until TLS is established."""

    __slots__ = ("handler", "limits", "ticker")

    def __init__(self, handler: Http2Handler, ticker: Ticker, limits: Limits) -> None:
        self.handler = handler
        self.ticker = ticker
        self.limits = limits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for the one that was agreed on."""
        tls = transport.get_extra_info("ssl_object")
        agreed = None if tls is None else tls.selected_alpn_protocol()
        chosen: asyncio.Protocol
        if agreed == H2:
            chosen = Http2Connection(self.handler, self.ticker, self.limits)
        else:
            chosen = ClientConnection(self.handler, self.ticker, self.limits)
        transport.set_protocol(chosen)
        chosen.connection_made(transport)


class SniffedConnection(ClientConnection):
    """One of HTTP/1.1, unless its first bytes are the preface of HTTP/2."""

    __slots__ = ("choosing", "sniffing")

    def __init__(self, handler: Http2Handler, ticker: Ticker, limits: Limits) -> None:
        super().__init__(handler, ticker, limits)
        self.choosing = handler
        self.sniffing = True

    def data_received(self, data: bytes) -> None:
        if self.sniffing:
            try:
                begun = bytes(joined(self.ahead, data)) if self.ahead else data
                if PREFACE.startswith(begun[: len(PREFACE)]):
                    self.sniffed(begun)
                    return
                self.sniffing = False
                self.ahead, data = b"", begun
            except Exception as error:
                self.crashed("choosing a protocol", error)
                return
        super().data_received(data)

    def sniffed(self, begun: bytes) -> None:
        """So far it is the preface."""
        if len(begun) < len(PREFACE):
            self.ahead = begun
            if not self.head_begun:
                self.head_begun = True
                self.wait(self.limits.head_timeout_seconds)
            return
        self.sniffing = False
        self.ahead = b""
        self.ticker.discard(self)
        self.closed = True
        self.handler.closed(self)
        chosen = Http2Connection(self.choosing, self.ticker, self.limits)
        self.transport.set_protocol(chosen)
        chosen.connection_made(self.transport)
        chosen.data_received(begun)
