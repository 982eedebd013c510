"""What nobody expected: each kind logged once in a while, every one counted."""

from __future__ import annotations

import logging

import pytest

from proxy.internal_errors import MOST_KINDS, QUIET_SECONDS, InternalErrors
from tests.conftest import ManualClock


def raised(message: str, kind: type[Exception] = RuntimeError) -> Exception:
    """An error with a traceback, always of the same line."""
    try:
        raise kind(message)
    except kind as error:
        return error


def test_a_kind_is_logged_with_its_traceback_once_a_minute(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    errors = InternalErrors(clock)
    for count in range(4):
        errors.report("an observer", raised(f"number {count}"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Traceback" in caplog.text
    assert "internal error in an observer; please report it" in caplog.text
    clock.advance(QUIET_SECONDS)
    errors.report("an observer", raised("once more"))
    assert "(and 3 more since the last report)" in caplog.records[1].getMessage()
    assert errors.counts == {"an observer": 5}


def test_another_kind_and_another_place_are_news(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    errors = InternalErrors(clock)
    errors.report("a feed", raised("x"))
    errors.report("a feed", raised("x", ValueError))
    errors.report("a tap", raised("x"))
    assert len(caplog.records) == 3


def test_what_is_remembered_is_bounded(clock: ManualClock) -> None:
    errors = InternalErrors(clock)
    for count in range(3 * MOST_KINDS):
        errors.report(f"place {count}", raised("x"))
    assert len(errors.quiet) <= MOST_KINDS


def test_an_error_without_a_traceback_is_reported(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    InternalErrors(clock).report("a task", RuntimeError("never raised"))
    assert "never raised" in caplog.text
