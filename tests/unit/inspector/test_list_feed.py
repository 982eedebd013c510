"""What the feed of the list tells of very many exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

from proxy.exchange import Exchange
from proxy.inspector.answering import Answer
from proxy.inspector.feed import ListFeed, Source
from proxy.inspector.live import MOST_OPEN, Live
from proxy.timeline import Phase, Timeline
from proxy.transport.deadlines import Deadlines


class Crowd(Live):
    """So many exchanges, without their clients."""

    def __init__(self, count: int) -> None:
        super().__init__((), Deadlines(lambda: 0.0))
        self.exchanges = [
            SimpleNamespace(timeline=Timeline(0.0, b"::1"), phase=Phase.RELAYING)
            for _ in range(count)
        ]

    def open(self) -> Iterator[Exchange]:
        return cast("Iterator[Exchange]", iter(self.exchanges))


def test_those_that_have_no_room_are_counted() -> None:
    crowd = Crowd(MOST_OPEN + 234)
    source = cast("Source", SimpleNamespace(live=crowd, worker=0))
    feed = ListFeed(source, cast("Answer", None), own=False)
    assert len(feed.open_rows(0.0, 0.0)) == MOST_OPEN
    assert feed.more == 234
    assert feed.open_rows(0.0, 0.0) == []
    del crowd.exchanges[:200]
    feed.open_rows(0.0, 0.0)
    feed.gone()
    assert len(feed.open_rows(0.0, 0.0)) == 200
    assert feed.more == 34
