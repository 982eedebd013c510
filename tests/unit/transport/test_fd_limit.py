"""Descriptors that run short: told once, and once that it is over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource

import pytest

from proxy.transport.fd_limit import QUIET_SECONDS, FdLimit, limit, raise_limit
from proxy.transport.ticker import Ticker
from tests.conftest import ManualClock

Context = dict[str, object]


@pytest.fixture
async def descriptors(clock: ManualClock) -> FdLimit:
    return FdLimit(Ticker(clock))


async def test_a_part_is_kept_for_what_is_served(descriptors: FdLimit) -> None:
    loop = asyncio.get_running_loop()
    descriptors.learn()
    descriptors.watch(loop)
    assert 0 < descriptors.low < descriptors.lowest < descriptors.limit == limit()
    descriptors.leave(loop)
    assert loop.get_exception_handler() is None


async def test_a_low_number_is_no_sign_while_connections_are_refused(
    descriptors: FdLimit,
) -> None:
    """Each that is closed leaves one, and all those beyond it may be taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken: list[int] = []
    try:
        descriptors.limit = limit()
        descriptors.lowest = descriptors.limit - 8
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        descriptors.refuse()
        leaving = (taken[0], taken[-1], *taken[1:7])
        for count, each in enumerate(leaving, start=1):
            assert descriptors.short()
            assert not descriptors.has(count)
            os.close(each)
            taken.remove(each)
            assert descriptors.has(count)
        assert not descriptors.short()
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        descriptors.ticker.stop()


async def test_it_is_told_once_and_once_that_it_is_over(
    descriptors: FdLimit, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    descriptors.limit, descriptors.low = 1024, 1000
    for _ in range(3):
        descriptors.refuse()
        clock.advance(QUIET_SECONDS - 1)
        descriptors.check(clock.now)
    assert len(caplog.messages) == 1
    clock.advance(2)
    descriptors.low = 1  # still none: the next one would have a high number
    descriptors.check(clock.now)
    assert len(caplog.messages) == 1
    descriptors.low = 1000
    descriptors.check(clock.now)
    descriptors.ticker.tick()
    assert caplog.messages[1:] == [
        "file descriptors are available again; 3 connections were refused in the "
        "meantime"
    ]
    assert not descriptors.ticker.waiting


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_it_hears_of_what_asyncio_could_not_accept(
    descriptors: FdLimit, number: int
) -> None:
    heard: list[Context] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    descriptors.watch(loop)
    loop.call_exception_handler({"message": "", "exception": OSError(number, "")})
    assert (descriptors.refused, heard) == (1, [])
    loop.call_exception_handler({"message": "other", "exception": ValueError()})
    assert descriptors.refused == 1
    assert [each["message"] for each in heard] == ["other"]
    descriptors.leave(loop)
    descriptors.ticker.stop()
    loop.call_exception_handler({"message": "later"})
    assert len(heard) == 2


async def test_without_a_handler_the_loop_tells_as_ever(
    descriptors: FdLimit, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    descriptors.watch(loop)
    loop.call_exception_handler({"message": "odd"})
    assert caplog.messages == ["odd"]
    descriptors.leave(loop)


def test_as_many_are_taken_as_are_granted() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(before[1], 512)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
