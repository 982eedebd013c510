"""Tests of hosts run on both event loops, where the host runs in the test's process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop where it is installed: its transports are not those of asyncio."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    if item.get_closest_marker("hosts"):
        return factories
    try:
        from tests.support.connecting_loop import ConnectingLoop
    except ImportError:  # Windows
        return factories
    return {"uvloop": ConnectingLoop, **factories}
