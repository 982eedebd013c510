"""The ports that tests give to programs."""

from __future__ import annotations

import random

import pytest

from tests.support import ports


def test_no_port_is_given_to_two_programs_that_start_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody listens at the first one yet: its program is on its way."""
    monkeypatch.setattr(ports, "CHOSEN", random.Random(0))
    first = ports.free_port()
    monkeypatch.setattr(ports, "CHOSEN", random.Random(0))
    assert ports.free_port() != first
