"""What the feed of the list tells of very many exchanges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from proxy.exchange.exchange import Exchange
from proxy.inspector.exchange_history import MOST_OPEN, ExchangeHistory
from proxy.inspector.list_feed import ListFeed, ListSource
from proxy.inspector.own_response import OwnResponse
from proxy.kept.registry import KeptStreams
from proxy.timeline import Phase, Timeline
from proxy.transport.ticker import Ticker


class Crowd(ExchangeHistory):
    """So many exchanges, without their clients."""

    def __init__(self, count: int) -> None:
        exchanges = [
            SimpleNamespace(
                timeline=Timeline(0.0, b"::1"), phase=Phase.RELAYING, source=None
            )
            for _ in range(count)
        ]
        self.crowd = cast("list[Exchange]", exchanges)
        super().__init__(self.crowd, Ticker(lambda: 0.0))


def test_those_that_have_no_room_are_counted() -> None:
    crowd = Crowd(MOST_OPEN + 234)
    source = cast(
        "ListSource",
        SimpleNamespace(history=crowd, worker=0, registry=KeptStreams(0, 0, b"")),
    )
    feed = ListFeed(source, cast("OwnResponse", None), own=False)
    assert len(feed.open_rows(0.0, 0.0)) == MOST_OPEN
    assert feed.more == 234
    assert feed.open_rows(0.0, 0.0) == []
    del crowd.crowd[:200]
    feed.open_rows(0.0, 0.0)
    feed.gone()
    assert len(feed.open_rows(0.0, 0.0)) == 200
    assert feed.more == 34


class Written:
    """An answer that keeps what is written to it."""

    blocked = over = streams = False

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.on_end = None

    def stream(self, fields: object) -> None:
        self.streams = True

    def write(self, piece: bytes) -> None:
        self.events.append(piece)


def begun(crowd: Crowd) -> tuple[ListFeed, Written]:
    """A feed that has told all there is."""
    source: Any = SimpleNamespace(
        registry=KeptStreams(0, 0, b""),
        history=crowd,
        worker=0,
        browsers=[],
        state=dict,
        warnings=lambda now: [],
    )
    answer = Written()
    feed = ListFeed(source, cast("OwnResponse", answer), own=False)
    feed.start()
    return feed, answer


@pytest.mark.parametrize("count", [1, MOST_OPEN, MOST_OPEN + 234])
async def test_what_does_not_change_is_told_once(count: int) -> None:
    """However many there are: no event, no byte, at any later look."""
    crowd = Crowd(count)
    feed, answer = begun(crowd)
    crowd.ticker.stop()
    first = len(answer.events)
    for _ in range(40):
        feed.check(1.0)
    assert len(answer.events) == first
    crowd.crowd[7 % count].timeline.call.pieces += 1
    feed.check(1.0)
    (event,) = answer.events[first:]
    told = msgspec.json.decode(event.partition(b"data: ")[2])
    assert len(told["open"]) == 1
    assert told["more"] == max(count - MOST_OPEN, 0)
    assert len(event) < 1000


async def test_one_more_without_room_is_one_short_event() -> None:
    crowd = Crowd(MOST_OPEN + 1)
    feed, answer = begun(crowd)
    crowd.ticker.stop()
    first = len(answer.events)
    crowd.crowd.append(Crowd(1).crowd[0])
    for _ in range(4):
        feed.check(1.0)
    (event,) = answer.events[first:]
    told = msgspec.json.decode(event.partition(b"data: ")[2])
    assert (told["open"], told["more"]) == ([], 2)
