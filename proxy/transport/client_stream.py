"""What an exchange asks of its client, whichever protocol the client speaks.

An HTTP/1.1 connection is one itself, of one exchange at a time, so nothing is paid
for it; an HTTP/2 connection has many. How a connection lingers, ends or is reset is its
own affair.
"""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ClientError, ProxyError
from proxy.http1.framing import Body
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.response_plan import ResponsePlan, Terms
from proxy.transport.flow import ChunkedSink, Receiver, TunnelEnd
from proxy.transport.private_connections import PrivateConnections


class Served(Protocol):
    """What a client stream tells whoever answers its request."""

    def client_left(self, error: ClientError) -> None:
        """The client closed, or does not read."""

    def fail(self, error: ProxyError) -> None:
        """The client was too slow with its request body."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: report it, tell the client, end."""


class ClientStream(TunnelEnd, Protocol):
    """One request of a client, and the way back for its response."""

    address: bytes  # of the peer
    scheme: bytes
    planner: RequestPlanner
    private: PrivateConnections | None  # to upstreams, if any is
    paused: bool  # its request body is not read for now

    @property
    def draining(self) -> bool:
        """Is this request the last one?"""

    # -- the request

    def open_body(self) -> Body:
        """How the request body is framed.

        Raises:
            MalformedRequest, TransferCodingNotSupported.
        """

    @property
    def request_complete(self) -> bool:
        """Has the whole request body been read?"""

    def read_body(self, receiver: Receiver) -> None:
        """Have the request body handed to `receiver` as it arrives."""

    def become_tunnel(self, receiver: Receiver) -> None:
        """Hand raw bytes to `receiver` from now on, those already here first."""

    def detach(self) -> None:
        """Tell the exchange nothing more: it is over."""

    # -- the response

    @property
    def terms(self) -> Terms:
        """What a response head has to go by."""

    def limit_buffer(self, size: int) -> None:
        """How many bytes may wait for the client before the feeder is told."""

    def end_after_response(self) -> None:
        """Serve no request after this one: where it would begin is unsure."""

    def leave_connection(self) -> None:
        """Have the client's next requests come by another connection."""

    def send_interim(self, plan: ResponsePlan) -> None:
        """Send a 1xx response, if the client can take one."""

    def send_plan(self, plan: ResponsePlan) -> None:
        """Have a head sent, together with the first piece of its body.

        If that does not come in the same call, the caller owes `flush_head`.
        """

    def send_aside(self, data: bytes) -> None:
        """Write bytes into the body that are the proxy's own, not the source's."""

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        """Itself, if its response body is in the chunked coding of HTTP/1.1."""

    def flush_head(self) -> None:
        """Let the head go out alone, if it has not gone out yet."""

    def finish(self) -> None:
        """The response is complete: go on to the next request, or close."""

    def break_off(self) -> None:
        """End a response that will never be complete so that the client can tell."""

    def abort(self) -> None:
        """Let go of the client at once; bytes that wait are dropped."""
