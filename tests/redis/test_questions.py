"""How long an answer of the store may take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.exchange.store_lookup import LATE_SECONDS
from proxy.kept.redis.log_reader import LOOK
from proxy.kept.redis.questions import SECONDS, Questions
from proxy.kept.redis.scripts import DONE, FIND
from proxy.kept.redis.store_connection import Call, StoreFault
from tests.support.skipping_loop import SkippingLoop


class BusyStore:
    """As `QuestionsStore` and its connection, whose answers come late."""

    up = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.connection: Any = self

    async def call(self, calls: Sequence[Call]) -> list[list[Any]]:
        await asyncio.sleep(self.seconds)
        return [[[DONE] for _ in each.items] for each in calls]

    def failed(self, fault: StoreFault) -> None:
        raise AssertionError


def answered(after: float) -> list[Any]:
    """What is asked of such a store."""

    async def ask() -> list[Any]:
        return await Questions(BusyStore(after)).ask(FIND, ([b"key"], []))

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(ask())


def test_an_answer_may_come_late_in_a_busy_process() -> None:
    """A stream that is taken for unknown is asked for again from the upstream."""
    assert answered(SECONDS - 0.5) == [DONE]


def test_an_answer_is_not_waited_for_for_ever() -> None:
    with pytest.raises(StoreFault, match="no answer within 5 s"):
        answered(SECONDS + 0.5)


def test_what_a_lost_message_told_of_is_found_while_a_request_waits_for_it() -> None:
    """By the look at all streams, and by the call that reads what is new then."""
    assert LATE_SECONDS >= 2 * LOOK
