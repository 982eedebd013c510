"""The head of a kept stream's response, and what each of its clients gets of it."""

from __future__ import annotations

from proxy.exchange.compiled_routes import CompiledRoute
from proxy.http1.framing import Body, LengthBody, UntilCloseBody
from proxy.http1.head import RequestHead, ResponseHead
from proxy.policy.delivery import EVENTS, LINES, Delivery
from proxy.policy.response_plan import ResponsePlan, Terms, plan_response
from proxy.policy.resumption import adds_ids, with_stream_id
from proxy.stream.event_index import EventIndex
from proxy.timeline import http_date


class KeptHead:
    """Decided once, when the upstream's head is here.

    `id`: of the stream, if it can be resumed; then clients are told of it.
    """

    __slots__ = ("delivery", "head", "index", "length", "prefix", "route")

    def __init__(
        self,
        request: RequestHead,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        route: CompiledRoute,
        id: bytes | None,
    ) -> None:
        self.route = route
        self.delivery = delivery
        self.length: int | None = None  # of all of it, if that is known
        if isinstance(body, LengthBody) and not delivery.codings:
            self.length = body.remaining
        resume, kind = route.route.resume, delivery.format
        self.prefix: bytes | None = None  # of ids of ours
        if (
            id is not None
            and resume is not None
            and adds_ids(
                None if resume.ids == "auto" else resume.ids,
                request,
                head,
                delivery,
                framed_by_length=self.length is not None,
            )
        ):
            self.prefix = id + b"."
        self.index: EventIndex | None = None
        if kind is not None:
            self.index = EventIndex(lines=kind is LINES, prefix=self.prefix)
        if id is not None:
            head = changed(head, with_stream_id(head.fields, id))
        self.head = head

    @property
    def takes_comments(self) -> bool:
        """May a comment stand before its first event?"""
        return self.delivery.format is EVENTS and self.length is None

    def plan(
        self, terms: Terms, *, whole: bool, behind: bytes | None = None
    ) -> ResponsePlan:
        """The head for one client.

        `whole`: it gets all bytes, and no others. `behind`: where it begins, by an
        event id, if not where it wanted to (Last-Event-ID, as Mercure has it).
        """
        head = self.head
        body: Body = UntilCloseBody()
        if self.length is not None and whole:
            body = LengthBody(self.length)
        if behind is not None:
            head = changed(head, [*head.fields, (b"Last-Event-ID", behind)])
        date = None if b"date" in head.index else http_date()
        return plan_response(head, body, self.delivery, self.route, terms, date)


def changed(head: ResponseHead, fields: list[tuple[bytes, bytes]]) -> ResponseHead:
    """The head with other fields."""
    return ResponseHead(head.status, head.reason, head.minor, fields)
