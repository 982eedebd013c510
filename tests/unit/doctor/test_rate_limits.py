"""A limit on the rate is told from a timer, and who may have set it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import EVENTS, event, recorded, sent

APACHE = ("Server", "Apache/2.4")
SQUID = ("Via", "1.1 localhost (squid/5.7)")


def limited(
    server: tuple[str, str], size: int = 697, each: float = 0.2
) -> ProbeRecording:
    """So many bytes at a time of events of 78 bytes, whatever their ends."""
    body = b"".join(event(number, 60) for number in range(100, 999))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return recorded(
        *((each * (turn + 1), piece) for turn, piece in enumerate(pieces)),
        fields=(*EVENTS, server),
    )


def timed(server: tuple[str, str]) -> ProbeRecording:
    """Whole events every 200 ms, as a timer passes them on."""
    return recorded(
        *(
            (
                0.2 * turn + 0.2,
                b"".join(
                    sent(number, 96, number * 0.025)
                    for number in range(8 * turn + 1, 8 * turn + 9)
                ),
            )
            for turn in range(12)
        ),
        fields=(*EVENTS, server),
    )


@pytest.mark.parametrize("size", [397, 697, 2904])
def test_as_many_bytes_each_time_are_a_limit_on_the_rate(size: int) -> None:
    each = 1.0 if size > 2000 else 0.2
    verdict = diagnose(limited(("Server", "x"), size, each))
    assert verdict.kind in (Kind.RHYTHM, Kind.BURSTS)
    assert verdict.rate is not None
    assert verdict.rate == pytest.approx(size / each)
    [said] = [line for line in verdict.evidence if "limit on the rate" in line]
    assert f"{size / each:.0f} bytes a second" in said


def test_whole_events_at_an_interval_are_none() -> None:
    verdict = diagnose(timed(APACHE))
    assert (verdict.kind, verdict.rate) == (Kind.RHYTHM, None)


@pytest.mark.parametrize(
    ("server", "line"), [(APACHE, "UnsetEnv rate-limit"), (SQUID, "delay_pools 0")]
)
def test_who_can_limit_it_has_the_line_that_ends_the_limit(
    server: tuple[str, str], line: str
) -> None:
    first, *others = judge_one([limited(server)]).cures
    assert line in first.lines
    assert first.measured
    assert first.when
    # what waits for a timer, or for an acknowledgement, does not do that
    assert "http-no-delay" not in " ".join(cure.lines for cure in others)


def test_apache_limits_also_what_shows_no_limit() -> None:
    lines = [cure.lines for cure in judge_one([timed(APACHE)]).cures]
    assert any("UnsetEnv rate-limit" in each for each in lines)


def test_where_nothing_shows_who_limits_it_all_are_named() -> None:
    found = judge_one([limited(("Server", "unknown"))]).cures
    said = " ".join(cure.lines for cure in found)
    assert "limit_rate" in said
    assert "set-bandwidth-limit" not in said  # HAProxy is one of several
    assert not any(cure.fact for cure in found)


def test_haproxys_own_limit_is_a_may_and_only_where_a_limit_shows() -> None:
    [cure] = [
        cure
        for cure in judge_one([limited(("X", "y"))], "haproxy").cures
        if "bandwidth" in cure.lines
    ]
    assert not cure.measured
    held = judge_one([replace(timed(("X", "y")))], "haproxy").cures
    assert not any("bandwidth" in cure.lines for cure in held)
