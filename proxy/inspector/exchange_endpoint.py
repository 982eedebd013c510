"""Exchanges and kept streams, one at a time: by number, request id, or stream.

Another worker is asked for what is not ours.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.exchange_history import ExchangeHistory, Found
from proxy.inspector.exchange_view import PieceFeed, view
from proxy.inspector.kept_view import stream_by_id, stream_of
from proxy.inspector.own_response import EVENT_STREAM, JSON, OwnResponse, refuse
from proxy.inspector.peer_workers import OWN, fetch, owned, pass_on
from proxy.kept.registry import KeptStreams
from proxy.observe.list_row import Row

UNKNOWN = "this exchange is no longer known"
NOT_KEPT = "this stream is no longer kept"


class ServerOfExchanges(Protocol):
    """Whose exchanges they are."""

    kept: KeptStreams[KeptStream]
    number: int  # of this worker
    siblings: tuple[str, ...]  # Unix sockets of the other workers


class ExchangeEndpoint:
    """Tells of one exchange, or one stream, to who may look."""

    def __init__(self, server: ServerOfExchanges, history: ExchangeHistory) -> None:
        self.server = server
        self.history = history

    # -- exchanges

    def exchange(
        self, answer: OwnResponse, number: int, worker: int, query: list[str]
    ) -> None:
        """One exchange by its number; of another worker, if it is not ours."""
        if self.is_elsewhere(worker, query):
            target = f"exchanges/{worker}-{number}"
            owned(answer, self.whole_elsewhere(answer, target, UNKNOWN))
        else:
            self.found(answer, self.find(worker, number))

    def request(self, answer: OwnResponse, id: str, query: list[str]) -> None:
        """The newest exchange that has a request id."""
        known = self.history.of_request(unquote_to_bytes(id))
        if known is None and self.server.siblings and OWN not in query:
            owned(answer, self.whole_elsewhere(answer, f"requests/{id}", UNKNOWN))
        else:
            self.found(answer, known)

    def feed(
        self,
        answer: OwnResponse,
        number: int,
        worker: int,
        query: list[str],
        *,
        bodies: bool,
    ) -> None:
        """The feed of one exchange; of another worker, if it is not ours."""
        answer.bodies = bodies
        if self.is_elsewhere(worker, query):
            target = f"/_unbuffered/exchanges/{worker}-{number}/feed?{OWN}"
            if not bodies:
                target += "&bodies=0"
            owned(answer, self.feed_elsewhere(answer, target))
            return
        known = self.find(worker, number)
        if known is None:
            refuse(answer, 404, UNKNOWN)
            return
        timeline, exchange = known
        kept = stream_of(self.server.kept, timeline)
        PieceFeed(
            self.history, worker, answer, timeline, exchange, kept, bodies=bodies
        ).start()

    def is_elsewhere(self, worker: int, query: list[str]) -> bool:
        """Is it for another worker to tell of it?"""
        other = worker != self.server.number
        return other and bool(self.server.siblings) and OWN not in query

    def find(self, worker: int, number: int) -> Found | None:
        """An exchange of ours."""
        return self.history.find(number) if worker == self.server.number else None

    def found(self, answer: OwnResponse, known: Found | None) -> None:
        """Answer with an exchange; its stream may be kept by another worker."""
        if known is None:
            refuse(answer, 404, UNKNOWN)
            return
        timeline, exchange = known
        server = self.server
        told = view(self.history, server.kept, server.number, timeline, exchange)
        visit = timeline.visit
        if visit is not None and "kept" not in told and server.siblings:
            owned(answer, self.with_stream(answer, visit.stream, told))
        else:
            answer.whole(200, JSON, msgspec.json.encode(told))

    async def with_stream(self, answer: OwnResponse, id: str, told: Row) -> None:
        """Ask the others for the stream."""
        stream = await self.fetch(f"kept/{id}")
        if stream is not None:
            told["kept"] = msgspec.Raw(stream)
        if not answer.over:
            answer.whole(200, JSON, msgspec.json.encode(told))

    # -- kept streams

    def stream(self, answer: OwnResponse, id: str, query: list[str]) -> None:
        """A kept stream, by what is shown of its ID."""
        server, history = self.server, self.history
        now = history.ticker.clock()
        told = stream_by_id(server.kept, history, server.number, id, now)
        if told is not None:
            answer.whole(200, JSON, msgspec.json.encode(told))
        elif OWN in query or not server.siblings:
            refuse(answer, 404, NOT_KEPT)
        else:
            owned(answer, self.whole_elsewhere(answer, f"kept/{id}", NOT_KEPT))

    # -- the other workers

    async def fetch(self, target: str) -> bytes | None:
        """What another worker tells; None: none knows it."""
        for path in self.server.siblings:
            found = await fetch(path, f"/_unbuffered/{target}?{OWN}")
            if found is not None and found[0] == 200:
                return found[1]
        return None

    async def whole_elsewhere(
        self, answer: OwnResponse, target: str, unknown: str
    ) -> None:
        """Answer with what another worker tells."""
        found = await self.fetch(target)
        if answer.over:
            return
        if found is not None:
            answer.whole(200, JSON, found)
        else:
            refuse(answer, 404, unknown)

    async def feed_elsewhere(self, answer: OwnResponse, target: str) -> None:
        """Have the worker tell that knows an exchange."""

        def begin() -> OwnResponse:
            answer.stream(EVENT_STREAM)
            return answer

        if await pass_on(self.server.siblings, target, begin):
            return
        if not answer.over:
            refuse(answer, 404, UNKNOWN)
