"""An exchange of a client that another worker has: that one hears how it goes."""

from __future__ import annotations

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange, ExchangeOwner
from proxy.http1.head import RequestHead
from proxy.policy.handed_message import KeptPart, PeerReport, told_field
from proxy.policy.response_plan import ResponsePlan
from proxy.transport.peer_connection import PeerConnection


class HandedExchange(Exchange):
    """A request that was handed over. `last`: it is handed on no further."""

    __slots__ = ("last",)

    def __init__(
        self,
        owner: ExchangeOwner,
        client: PeerConnection,
        head: RequestHead,
        *,
        last: bool,
    ) -> None:
        super().__init__(owner, client, head)
        self.last = last

    @property
    def owns_client(self) -> bool:
        return False

    def respond(self, plan: ResponsePlan) -> None:
        fields = [told_field(self.told(self.timeline.error)), *plan.fields]
        marked = ResponsePlan(
            plan.status,
            plan.reason,
            fields,
            plan.framing,
            plan.options,
            keep_alive=plan.keep_alive,
        )
        super().respond(marked)

    def fail(self, error: ProxyError) -> None:
        client = self.client
        if isinstance(client, PeerConnection):
            client.failed = self.told(error)
        super().fail(error)

    def end_between_events(self, error: ProxyError) -> None:
        client = self.client
        if isinstance(client, PeerConnection):
            client.failed = self.told(error)
        super().end_between_events(error)

    def told(self, error: ProxyError | None) -> PeerReport:
        """What the other worker is told of the response."""
        route = None if self.route is None else self.route.prefix
        visit, part = self.timeline.visit, None
        if visit is not None:
            part = KeptPart(visit.stream, visit.way, visit.begins, visit.kept)
        return PeerReport(self.timeline.call.upstream, route, error, part=part)
