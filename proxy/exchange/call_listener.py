"""What stands between a call and its owner, and passes on what the call tells."""

from __future__ import annotations

from typing import Any

from proxy.errors import ProxyError
from proxy.http1.framing import Body
from proxy.http1.head import ResponseHead
from proxy.policy.request_plan import RequestPlan
from proxy.transport.upstream_connection import UpstreamConnection


class CallListener:
    """A `CallOwner` with an owner: another listener, or who made the call."""

    __slots__ = ("owner",)

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def connecting(self, now: float) -> None:
        self.owner.connecting(now)

    def connected(self, now: float, plan: RequestPlan) -> None:
        self.owner.connected(now, plan)

    def send_body(self, body: Body, connection: UpstreamConnection) -> None:
        self.owner.send_body(body, connection)

    def interim(self, head: ResponseHead) -> None:
        self.owner.interim(head)

    def response(
        self, call: Any, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        self.owner.response(call, head, connection)

    def fail(self, error: ProxyError) -> None:
        self.owner.fail(error)

    def crashed(self, place: str, error: Exception) -> None:
        self.owner.crashed(place, error)
