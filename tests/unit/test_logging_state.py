"""Commands that tests call in their own process set up logging for that process."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from proxy.process.console import set_up_logging as by_proxy
from tests.support.logging_state import unchanged_logging
from upstream_demo.__main__ import set_up_logging as by_demo


@pytest.mark.parametrize("set_up", [by_proxy, by_demo])
def test_logging_is_as_before(set_up: Callable[[], None]) -> None:
    root, demo = logging.getLogger(), logging.getLogger("upstream_demo")

    def state() -> tuple[object, ...]:
        return root.level, demo.level, set(root.handlers), set(demo.handlers)

    before = state()
    with unchanged_logging():
        set_up()
        assert state() != before
    assert state() == before
