"""Certificates of a process that goes on for weeks."""

from __future__ import annotations

import logging
import ssl

import pytest

from proxy.config.certificate_expiry import DAY
from proxy.process.certificate_watch import LOOK_SECONDS, CertificateWatch
from proxy.server.handshake import ClientContext
from proxy.server.listener import TLS
from tests.conftest import ManualClock

NAME = "[server] tls_certificate: the certificate "


def spoken(expires: float | None) -> TLS:
    context = ClientContext(ssl.PROTOCOL_TLS_SERVER)
    context.expires = expires
    return {"ssl": context}


class Watched:
    """A process whose certificates the test chooses, and its log."""

    def __init__(self, clock: ManualClock, log: pytest.LogCaptureFixture) -> None:
        self.clock = clock
        self.log = log
        self.served: list[TLS] = [{}]
        self.watch = CertificateWatch(lambda: self.served, clock, clock)

    def hours(self, count: int) -> list[str]:
        """What is told in so many hours."""
        self.log.clear()
        for _ in range(count):
            self.clock.advance(LOOK_SECONDS)
            self.watch.on_time(self.clock())
        return self.log.messages


@pytest.fixture
def watched(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> Watched:
    caplog.set_level(logging.INFO, "unbuffered")
    return Watched(clock, caplog)


def test_a_certificate_that_expires_soon_is_told_once_a_day(watched: Watched) -> None:
    watched.served = [spoken(watched.clock() + 10.5 * DAY)]
    assert watched.hours(23) == []  # the configuration has told
    (line,) = watched.hours(1)
    assert line.startswith(f"{NAME}expires on ")
    assert line.endswith("in 9 days")
    assert watched.hours(23) == []
    (line,) = watched.hours(1)
    assert line.endswith("in 8 days")


def test_those_for_other_names_are_told_once_for_all_listeners(
    watched: Watched,
) -> None:
    watched.served = [spoken(watched.clock() + 100 * DAY) for _ in range(2)]
    for tls in watched.served:
        tls["ssl"].beside = {
            "[[certificate]] number 1": watched.clock() + 10.5 * DAY,
            "[[certificate]] number 2": None,
            "[[certificate]] number 3": watched.clock() + 99 * DAY,
        }
    (line,) = watched.hours(24)
    assert line.startswith("[[certificate]] number 1 tls_certificate: the certificate ")


def test_one_that_has_expired_is_told_within_an_hour(watched: Watched) -> None:
    watched.served = [spoken(watched.clock() + 2.5 * LOOK_SECONDS)]
    assert watched.hours(2) == []
    (line,) = watched.hours(1)
    assert line.startswith(f"{NAME}has expired on ")
    assert watched.hours(20) == []


def test_one_that_was_renewed_meanwhile_is_not_told(watched: Watched) -> None:
    watched.served = [spoken(watched.clock() + 1.5 * DAY)]
    assert watched.hours(20) == []
    watched.served = [spoken(watched.clock() + 90 * DAY)]
    assert watched.hours(48) == []


def test_further_listeners_are_told_by_their_number(watched: Watched) -> None:
    watched.served = [{}, spoken(None), spoken(watched.clock())]
    (line,) = watched.hours(24)
    assert line.startswith("[[listen]] number 2 tls_certificate: the certificate has ")


def test_between_two_looks_there_is_none(watched: Watched) -> None:
    looks: list[None] = []

    def served() -> list[TLS]:
        looks.append(None)
        return []

    watched.watch.served = served
    watched.clock.advance(LOOK_SECONDS - 1)
    watched.watch.on_time(watched.clock())
    assert looks == []
    watched.clock.advance(1)
    watched.watch.on_time(watched.clock())
    assert len(looks) == 1
