"""Four clocks that never stand in for each other."""

from __future__ import annotations

import pytest

from proxy.config.route import RouteOptions
from proxy.errors import (
    ConnectTimeout,
    DurationExceeded,
    FirstByteTimeout,
    IdleTimeout,
    UploadStalled,
    UpstreamTimeout,
)
from proxy.policy.timeouts import exceeded, unlimited
from proxy.timeline import Phase


def options(
    connect: float = 0.0,
    first_byte: float = 0.0,
    idle: float = 0.0,
    duration: float = 0.0,
) -> RouteOptions:
    """Limits in seconds; 0: none."""
    return RouteOptions(
        connect_timeout_seconds=connect,
        first_byte_timeout_seconds=first_byte,
        idle_timeout_seconds=idle,
        max_duration_seconds=duration,
    )


def failure(
    limits: RouteOptions, phase: Phase, upstream_to_move: bool, **clocks: float
) -> UpstreamTimeout | None:
    """What is due when the clocks show these seconds, and the others 0."""
    return exceeded(
        limits,
        phase,
        elapsed=clocks.get("elapsed", 0.0),
        waited=clocks.get("waited", 0.0),
        silence=clocks.get("silence", 0.0),
        upstream_to_move=upstream_to_move,
    )


def test_bytes_that_are_not_taken_are_told_as_that() -> None:
    error = exceeded(
        options(first_byte=30),
        Phase.WAITING,
        elapsed=0,
        waited=30,
        silence=0,
        upstream_to_move=True,
        untaken=7,
    )
    assert isinstance(error, UploadStalled)
    assert str(error) == (
        "the upstream read none of 7 bytes of the request body for 30.0 s "
        "(first_byte_timeout_seconds)"
    )


def due(
    limits: RouteOptions, phase: Phase, **clocks: float
) -> type[UpstreamTimeout] | None:
    """The kind of failure, while the upstream is waited for."""
    error = failure(limits, phase, True, **clocks)
    return None if error is None else type(error)


CLOCKS = [
    pytest.param("connect", Phase.CONNECTING, "waited", ConnectTimeout, id="connect"),
    pytest.param("first_byte", Phase.WAITING, "waited", FirstByteTimeout, id="first"),
    pytest.param("idle", Phase.RELAYING, "silence", IdleTimeout, id="idle"),
    pytest.param("idle", Phase.TUNNEL, "silence", IdleTimeout, id="idle tunnel"),
    *(
        pytest.param("duration", phase, "elapsed", DurationExceeded, id=f"all, {phase}")
        for phase in (Phase.CONNECTING, Phase.WAITING, Phase.RELAYING, Phase.TUNNEL)
    ),
]


@pytest.mark.parametrize(("limit", "phase", "clock", "error"), CLOCKS)
def test_a_limit_is_due_when_its_time_is_reached(
    limit: str, phase: Phase, clock: str, error: type[UpstreamTimeout]
) -> None:
    for seconds in (0.5, 5.0):
        limits = options(**{limit: seconds})
        assert due(limits, phase, **{clock: seconds - 0.001}) is None
        assert due(limits, phase, **{clock: seconds}) is error
        assert due(limits, phase, **{clock: 500.0}) is error


@pytest.mark.parametrize(("limit", "phase", "clock", "error"), CLOCKS)
def test_no_clock_stands_in_for_another(
    limit: str, phase: Phase, clock: str, error: type[UpstreamTimeout]
) -> None:
    """One shared clock cuts healthy slow streams off."""
    limits = options(**{limit: 5.0})
    others = {name: 500.0 for name in ("elapsed", "waited", "silence") if name != clock}
    assert due(limits, phase, **others, **{clock: 1.0}) is None


@pytest.mark.parametrize("limit", ["connect", "first_byte", "idle"])
def test_a_limit_is_of_its_phase_only(limit: str) -> None:
    own = {phase.values[1] for phase in CLOCKS if phase.values[0] == limit}
    for phase in {Phase.CONNECTING, Phase.WAITING, Phase.RELAYING, Phase.TUNNEL} - own:
        limits = options(**{limit: 5.0})
        assert due(limits, phase, elapsed=500, waited=500, silence=500) is None


@pytest.mark.parametrize("phase", Phase)
def test_a_limit_of_0_is_no_limit(phase: Phase) -> None:
    assert due(options(), phase, elapsed=1e9, waited=1e9, silence=1e9) is None


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        pytest.param(Phase.WAITING, None, id="a slow upload is no slow upstream"),
        pytest.param(Phase.RELAYING, None, id="a slow client is no silent upstream"),
        pytest.param(Phase.TUNNEL, None, id="in a tunnel neither"),
        pytest.param(Phase.CONNECTING, ConnectTimeout, id="nobody else connects"),
    ],
)
def test_the_upstream_is_not_blamed_while_the_client_is_waited_for(
    phase: Phase, error: type[UpstreamTimeout] | None
) -> None:
    limits = options(connect=5.0, first_byte=5.0, idle=5.0)
    found = failure(limits, phase, False, waited=9.0, silence=9.0)
    assert (None if found is None else type(found)) is error


def test_the_whole_is_limited_whoever_is_slow() -> None:
    limits = options(duration=5.0, idle=5.0)
    found = failure(limits, Phase.RELAYING, False, elapsed=5.0)
    assert isinstance(found, DurationExceeded)


@pytest.mark.parametrize(("limit", "phase", "clock", "error"), CLOCKS)
def test_the_message_names_the_key_and_the_time(
    limit: str, phase: Phase, clock: str, error: type[UpstreamTimeout]
) -> None:
    found = failure(options(**{limit: 5.0}), phase, True, **{clock: 7.25})
    assert found is not None
    assert found.status == 504
    key = "max_duration" if limit == "duration" else f"{limit}_timeout"
    assert f"({key}_seconds)" in str(found)
    assert "7.2 s" in str(found)


def test_a_stream_has_no_limit_by_default() -> None:
    """aiohttp's own default would end it after five minutes."""
    for phase in (Phase.RELAYING, Phase.TUNNEL):
        assert due(RouteOptions(), phase, elapsed=1e9, silence=1e9) is None
    assert unlimited(RouteOptions())


@pytest.mark.parametrize(
    ("limits", "free"),
    [
        (options(), True),
        (options(connect=1.0, first_byte=1.0), True),
        (options(idle=1.0), False),
        (options(duration=1.0), False),
        (options(duration=0.5, idle=0.5), False),
    ],
)
def test_a_response_is_unlimited_if_neither_silence_nor_length_is(
    limits: RouteOptions, free: bool
) -> None:
    assert unlimited(limits) is free
