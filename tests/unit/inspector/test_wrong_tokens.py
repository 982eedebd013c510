"""How many wrong tokens are looked at, and whose."""

from __future__ import annotations

import logging

import pytest

from proxy.inspector.wrong_tokens import (
    AT_ONCE,
    MOST_ADDRESSES,
    SECONDS,
    WrongTokens,
)
from tests.conftest import ManualClock


@pytest.fixture
def wrong(clock: ManualClock) -> WrongTokens:
    return WrongTokens(clock)


def used_up(wrong: WrongTokens, address: bytes = b"192.0.2.7") -> None:
    for _ in range(AT_ONCE):
        assert wrong.wait(address) == 0
        wrong.note(address)


def test_after_ten_at_once_there_is_one_every_six_seconds(
    wrong: WrongTokens, clock: ManualClock
) -> None:
    used_up(wrong)
    assert wrong.wait(b"192.0.2.7") == SECONDS
    clock.advance(SECONDS - 1.5)
    assert wrong.wait(b"192.0.2.7") == 2  # whole seconds, as Retry-After has them
    clock.advance(1.5)
    assert wrong.wait(b"192.0.2.7") == 0
    wrong.note(b"192.0.2.7")
    assert wrong.wait(b"192.0.2.7") == SECONDS
    clock.advance(AT_ONCE * SECONDS)
    used_up(wrong)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        (b"192.0.2.7", True),
        (b"::ffff:192.0.2.7", True),
        (b"192.0.2.8", False),
        (b"2001:db8::7", False),
        (b"unknown", False),
    ],
)
def test_other_addresses_are_not_concerned(
    wrong: WrongTokens, address: bytes, same: bool
) -> None:
    used_up(wrong)
    assert bool(wrong.wait(address)) is same


def test_of_ipv6_one_client_has_a_whole_network(wrong: WrongTokens) -> None:
    used_up(wrong, b"2001:db8::7%eth0")
    assert wrong.wait(b"2001:db8::ffff:1")
    assert not wrong.wait(b"2001:db8:0:1::7")


def test_the_memory_is_bounded_and_the_oldest_is_forgotten(wrong: WrongTokens) -> None:
    used_up(wrong)
    used_up(wrong, b"192.0.2.8")
    wrong.note(b"192.0.2.7")
    for number in range(MOST_ADDRESSES - 1):
        wrong.note(b"10.0.%d.%d" % divmod(number, 256))
    assert len(wrong.clear_at) == MOST_ADDRESSES
    assert wrong.wait(b"192.0.2.7")
    assert not wrong.wait(b"192.0.2.8")


def test_who_guesses_is_told_of_once_a_minute(
    wrong: WrongTokens, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "unbuffered"):
        used_up(wrong)
        used_up(wrong, b"192.0.2.8\xff")
        clock.advance(61)
        wrong.note(b"192.0.2.8\xff")
        for _ in range(AT_ONCE):
            wrong.note(b"192.0.2.8\xff")
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.7 has sent 10 wrong tokens to /_unbuffered/; it may try again every "
        "6 s",
        "192.0.2.8\\xff has sent 10 wrong tokens to /_unbuffered/; it may try again "
        "every 6 s",
    ]
