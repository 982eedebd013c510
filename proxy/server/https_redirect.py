"""308 to https: what a listener with `https_redirect` answers instead of serving.

The host goes into Location as it came, so it is judged as that of every request: it can
hold nothing that ends a field, a host or a path.
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import quote_from_bytes

from proxy.errors import ClientError, MalformedRequest, Overloaded, ProxyError
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange, HandingOver
from proxy.http1.head import RequestHead
from proxy.inspector.inspector import Inspector
from proxy.kept.registry import KeptStreams
from proxy.policy.error_response import own_plan
from proxy.policy.forwarded import public_address
from proxy.policy.response_rewrite import split_port
from proxy.policy.routing import destination
from proxy.server.admission import Admission
from proxy.timeline import CallTimeline, http_date
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.client_stream import ClientStream

ACME = b"/.well-known/acme-challenge/"  # RFC 8555 §8.3: by http alone
# What stays as it came; the rest is percent-encoded.
VISIBLE = "".join(c for c in map(chr, range(0x21, 0x7F)) if c not in '"<>\\^`{|}')
HTTPS = 443
STATUS = 308  # RFC 9110 §15.4.9: method and body stay


class RedirectingServer(Protocol):
    """The server behind it."""

    admission: Admission
    exchanges: dict[Exchange, None]
    inspector: Inspector

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes."""

    @property
    def kept(self) -> KeptStreams[Any]:
        """The streams that outlive a connection."""

    @property
    def peers(self) -> HandingOver | None:
        """The other workers."""

    @property
    def https_port(self) -> int:
        """Where TLS is spoken."""

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Serve a request."""

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted."""

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""

    def unanswered(self, client: ClientHost, error: ProxyError) -> None:
        """Something was refused in a way that is no response."""

    def answer_ended(self, exchange: Exchange) -> None:
        """The upstream of a kept stream has ended, which was a model's answer."""

    def exchange_ended(self, exchange: Exchange) -> None:
        """An exchange is over, and its client served."""

    def stream_begun(self, exchange: Exchange) -> None:
        """A response is a stream, of which nothing has come yet."""

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """The response of an exchange is a kept stream."""

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """What went wrong was told to the client."""

    def stream_truncated(self, exchange: Exchange) -> None:
        """A stream of a known family was well framed, and is not complete."""


class HttpsRedirect:
    """The handler of the connections of a listener that redirects."""

    def __init__(self, server: RedirectingServer) -> None:
        self.server = server

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        """Redirect a request; what is not to be redirected is served as ever."""
        server = self.server
        if served_by_http(client, head, server.compiled):
            server.begin(client, head)
            return
        inspector = server.inspector
        if inspector.watched in head.target:  # a token may be in it
            exchange = inspector.withheld.exchange(server, client, head)
        else:
            exchange = Exchange(server, client, head)
        client.exchange = exchange
        server.exchanges[exchange] = None
        if inspector.history.capturing:
            inspector.begun(exchange)
        try:
            server.admission.begin(client)
            self.redirect(exchange, head)
        except Overloaded as error:
            exchange.fail(error)
        except Exception as error:
            exchange.crashed("redirecting a request", error)

    def redirect(self, exchange: Exchange, head: RequestHead) -> None:
        """Answer with the same place by https."""
        client = exchange.client
        exchange.introduce()
        try:
            client.open_body()
            where = location(head, self.server.https_port)
        except ClientError as error:
            client.end_after_response()
            exchange.fail(error)
            return
        if not client.request_complete:
            client.end_after_response()  # the body is for the other place
        fields = [
            (b"Location", where),
            (b"Content-Length", b"0"),
            (b"Date", http_date()),
        ]
        exchange.send_own(own_plan(STATUS, fields, client.terms), b"")
        exchange.complete()

    # -- what is as everywhere

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        self.server.reject(client, error)

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted."""
        self.server.opened(client)

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.server.closed(client)

    def unanswered(self, client: ClientHost, error: ProxyError) -> None:
        """Something was refused in a way that is no response."""
        self.server.unanswered(client, error)


def served_by_http(
    client: ClientStream, head: RequestHead, compiled: CompiledRoutes
) -> bool:
    """Is a request served all the same?

    One that cannot be served is refused there. One that came by https to a trusted
    proxy in front would come again and again.
    """
    if head.method == b"CONNECT":
        return True
    try:
        if destination(head).path.startswith(ACME):
            return True
    except ClientError:
        return True
    trusted = compiled.is_trusted(client.address)
    return public_address(head, client.scheme, trusted).scheme == b"https"


def location(head: RequestHead, port: int) -> bytes:
    """The same host and path by https.

    Raises:
        MalformedRequest: there is no host, as HTTP/1.0 allows.
    """
    where = destination(head)
    if where.authority is None:
        raise MalformedRequest("the Host header is missing: there is no place by https")
    host, _ = split_port(where.authority)
    place = b"" if port == HTTPS else b":%d" % port
    path = b"" if where.path == b"*" else where.path
    sent = quote_from_bytes(path, safe=VISIBLE).encode("ascii")
    return b"https://%b%b%b" % (host, place, sent)
