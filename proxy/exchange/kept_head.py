"""The head of a kept stream's response, and what each of its clients gets of it."""

from __future__ import annotations

from proxy.exchange.compiled_routes import CompiledRoute
from proxy.http1.framing import Body, LengthBody, UntilCloseBody
from proxy.http1.head import RequestHead, ResponseHead
from proxy.kept.shared_store import StreamMeta
from proxy.policy.delivery import EVENTS, LINES, Delivery, Format
from proxy.policy.response_plan import ResponsePlan, Terms, plan_response
from proxy.policy.resumption import adds_ids, with_stream_id
from proxy.stream.event_index import EventIndex
from proxy.timeline import http_date


class KeptHead:
    """The head, how its body is delivered, and what finds its events."""

    __slots__ = ("delivery", "head", "index", "length", "prefix", "route")

    def __init__(
        self,
        head: ResponseHead,
        delivery: Delivery,
        route: CompiledRoute,
        length: int | None,
        prefix: bytes | None,
        index: EventIndex | None,
    ) -> None:
        self.head = head
        self.delivery = delivery
        self.route = route
        self.length = length  # of all of it, if that is known
        self.prefix = prefix  # of ids of ours
        self.index = index

    @staticmethod
    def decided(
        request: RequestHead,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        route: CompiledRoute,
        id: bytes | None,
    ) -> KeptHead:
        """Decided once, when the upstream's head is here.

        `id`: of the stream, if it can be resumed; then clients are told of it.
        """
        length = prefix = index = None
        if isinstance(body, LengthBody) and not delivery.codings:
            length = body.remaining
        resume, kind = route.route.resume, delivery.format
        if (
            id is not None
            and resume is not None
            and adds_ids(
                None if resume.ids == "auto" else resume.ids,
                request,
                head,
                delivery,
                framed_by_length=length is not None,
            )
        ):
            prefix = id + b"."
        if kind is not None:
            index = EventIndex(lines=kind is LINES, prefix=prefix)
        if id is not None:
            head = changed(head, with_stream_id(head.fields, id))
        return KeptHead(head, delivery, route, length, prefix, index)

    @staticmethod
    def restored(meta: StreamMeta, route: CompiledRoute) -> KeptHead:
        """That of a stream which another node has. Its events have their ids."""
        head = ResponseHead(meta.status, meta.reason, meta.minor, list(meta.fields))
        kind = None if meta.format is None else Format[meta.format]
        index = None
        if kind is not None:
            index = EventIndex(lines=kind is LINES, prefix=None)
        prefix = meta.id + b"." if meta.ours else None
        delivery = Delivery(meta.stream, tuple(meta.codings), kind)
        return KeptHead(head, delivery, route, meta.length, prefix, index)

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
