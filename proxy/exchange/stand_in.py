"""What takes the place of a client when there is not one client any more.

Its request is complete, and its response goes elsewhere, or nowhere: see
`absent_client` and `kept_stream`.
"""

from __future__ import annotations

from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields
from proxy.internal_errors import report
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.response_plan import ONCE, ResponsePlan, Terms
from proxy.transport.client_stream import ClientStream
from proxy.transport.flow import ChunkedSink, Feeder, Receiver
from proxy.transport.private_connections import PrivateConnections


class StandIn:
    """A `ClientStream` that has no connection, and the place of one that has."""

    __slots__ = (
        "address",
        "blocked",
        "closed",
        "draining",
        "feeder",
        "paused",
        "planner",
        "private",
        "scheme",
    )

    def __init__(self, client: ClientStream) -> None:
        self.address: bytes = client.address
        self.scheme: bytes = client.scheme
        self.planner: RequestPlanner = client.planner
        self.private: PrivateConnections | None = None
        self.feeder: Feeder | None = None
        self.blocked = self.paused = self.draining = False
        self.closed = True

    # -- the request, which is complete

    @property
    def request_complete(self) -> bool:
        return True

    def open_body(self) -> Body:
        return LengthBody(0)

    def read_body(self, receiver: Receiver) -> None:
        pass

    def become_tunnel(self, receiver: Receiver) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    # -- the response, which nobody reads

    @property
    def terms(self) -> Terms:
        return ONCE

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        return None

    @property
    def is_closing(self) -> bool:
        return True

    @property
    def half_closes(self) -> bool:
        return False

    def limit_buffer(self, size: int) -> None:
        pass

    def end_after_response(self) -> None:
        pass

    def leave_connection(self) -> None:
        pass

    def send_interim(self, plan: ResponsePlan) -> None:
        pass

    def send_plan(self, plan: ResponsePlan) -> None:
        pass

    def send_piece(self, piece: bytes) -> None:
        pass

    def send_aside(self, data: bytes) -> None:
        pass

    def send_end(self, trailers: Fields) -> None:
        pass

    def flush_head(self) -> None:
        pass

    def send_fin(self) -> None:
        pass

    # -- the end

    def detach(self) -> None:
        pass

    def finish(self) -> None:
        self.abort()

    def break_off(self) -> None:
        self.abort()

    def abort(self) -> None:
        private, self.private = self.private, None
        if private is not None:
            try:
                private.close()
            except Exception as error:
                report("closing connections of a client that has left", error)
