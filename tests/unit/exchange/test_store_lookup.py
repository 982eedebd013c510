"""How long a request waits for a stream that other streams are read before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.exchange.store_lookup import ASK_SECONDS, LONGEST_SECONDS, StoreLookup
from proxy.process.process import form
from tests.support.skipping_loop import SkippingLoop

# Of the form that is not compiled only.
pytestmark = pytest.mark.skipif(
    bool(form()), reason="a compiled class takes no stand-in for another one"
)


class Exchange:
    """As far as a lookup needs one. `owner`: it is its own."""

    def __init__(self) -> None:
        self.owner = self
        self.kept = None
        self.source: object = None
        self.is_over = False


class Stream:
    """As `FollowedStream`: one that waits for its turn."""

    def __init__(self, *, is_coming: bool) -> None:
        self.is_coming = is_coming


def waited(*, comes_after: float | None, is_coming: bool) -> float:
    """Seconds until a request goes on. `comes_after`: so many its stream is here."""

    async def wait() -> float:
        loop = asyncio.get_running_loop()
        exchange: Any = Exchange()
        shared: Any = None
        lookup, answered = StoreLookup(exchange, shared), asyncio.Event()
        here: asyncio.Future[None] = loop.create_future()
        stream: Any = Stream(is_coming=is_coming)
        if comes_after is not None:
            loop.call_later(comes_after, here.set_result, None)
        began = loop.time()
        lookup.ask(lambda: lookup.arrival(stream, here), answered.set)
        await answered.wait()
        return loop.time() - began

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return round(runner.run(wait()))


def test_a_request_waits_on_while_its_stream_waits_for_its_turn() -> None:
    assert waited(comes_after=4 * ASK_SECONDS, is_coming=True) == 4 * ASK_SECONDS


def test_a_request_does_not_wait_for_ever() -> None:
    assert waited(comes_after=None, is_coming=True) == LONGEST_SECONDS


def test_a_request_gives_up_a_stream_of_which_nothing_is_to_be_read() -> None:
    assert waited(comes_after=4 * ASK_SECONDS, is_coming=False) == ASK_SECONDS
