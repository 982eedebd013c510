"""A head that comes in many pieces costs its length, not the square of it."""

from __future__ import annotations

from proxy.config.model import ServerOptions as Limits
from proxy.errors import ProxyError, UpstreamError
from proxy.http1.head import RequestHead, ResponseHead
from proxy.timeline import monotonic
from proxy.tools.explain.dry_run import Paper, Stopped
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.upstream_connection import UpstreamConnection
from tests.support.growth import assert_linear

PIECE = b"a" * 100
LIMITS = Limits(max_head_bytes=1 << 30, max_fields=0)


class Nobody:
    """Asks for nothing and does not expect an end."""

    def begin(self, client: HostedStream, head: RequestHead) -> None:
        raise AssertionError("the head is not complete")

    def reject(self, client: HostedStream, error: ProxyError) -> None:
        raise error

    def opened(self, client: ClientHost) -> None: ...

    def closed(self, client: ClientHost) -> None: ...

    def informational(self, head: ResponseHead) -> None: ...

    def response(self, head: ResponseHead) -> None:
        raise AssertionError("the head is not complete")

    def upstream_failed(self, error: UpstreamError) -> None:
        raise error

    def crashed(self, place: str, error: Exception) -> None:
        raise error

    def keep(self, connection: UpstreamConnection) -> None: ...

    def forget(self, connection: UpstreamConnection) -> None: ...
    def heard(self, connection: UpstreamConnection) -> None: ...


def test_a_request_head_in_pieces() -> None:
    def run(count: int) -> None:
        client = ClientConnection(Nobody(), Stopped(monotonic), LIMITS)
        client.connection_made(Paper("192.0.2.7", tls=False))
        client.data_received(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(count):
            client.data_received(PIECE)
        assert len(client.ahead) > count * len(PIECE)

    assert_linear(run, int, 1000)


def test_a_response_head_in_pieces() -> None:
    def run(count: int) -> None:
        nobody = Nobody()
        connection = UpstreamConnection(nobody)
        connection.serve(nobody, 0)
        connection.data_received(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(count):
            connection.data_received(PIECE)
        assert len(connection.ahead) > count * len(PIECE)

    assert_linear(run, int, 1000)
