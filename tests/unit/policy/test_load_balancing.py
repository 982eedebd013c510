from __future__ import annotations

from dataclasses import dataclass

import pytest

from proxy.errors import (
    ConnectTimeout,
    UpstreamError,
    UpstreamRefused,
    UpstreamTLSFailed,
    UpstreamUnavailable,
    UpstreamUnreachable,
    UpstreamUnresolved,
)
from proxy.policy.load_balancing import Attempts, longer_rest, pick_target

NOW = 100.0


@dataclass
class Target:
    name: str
    open: int = 0
    rests_until: float = 0.0
    probed: bool = False


@pytest.mark.parametrize(
    ("open_exchanges", "turn", "chosen"),
    [
        pytest.param([0], 5, "a", id="the only one"),
        pytest.param([1, 0, 2], 0, "b", id="fewest"),
        pytest.param([1, 0, 0], 0, "b", id="fewest, first turn"),
        pytest.param([1, 0, 0], 2, "c", id="fewest, third turn"),
        pytest.param([0, 0, 0], 0, "a", id="equal, first turn"),
        pytest.param([0, 0, 0], 1, "b", id="equal, second turn"),
        pytest.param([0, 0, 0], 5, "c", id="equal, turns go round"),
    ],
)
def test_the_fewest_open_exchanges_win_and_turns_break_ties(
    open_exchanges: list[int], turn: int, chosen: str
) -> None:
    targets = [
        Target(name, number)
        for name, number in zip("abc", open_exchanges, strict=False)
    ]
    assert pick_target(targets, turn, NOW).name == chosen


@pytest.mark.parametrize(
    ("rests", "chosen"),
    [
        pytest.param([0.0, 0.0], "a", id="none rests"),
        pytest.param([NOW + 1, 0.0], "b", id="one rests, busy or not"),
        pytest.param([NOW, 0.0], "a", id="its rest is over"),
        pytest.param([NOW + 2, NOW + 1], "b", id="all rest: the one that rests least"),
        pytest.param([NOW + 1, NOW + 2], "a", id="all rest, the other way"),
    ],
)
def test_a_target_that_rests_is_asked_last(rests: list[float], chosen: str) -> None:
    targets = [Target("a", 0, rests[0]), Target("b", 7, rests[1])]
    assert pick_target(targets, 0, NOW).name == chosen


@pytest.mark.parametrize(
    ("probed", "rests", "chosen"),
    [
        pytest.param([True, False], [NOW, 0.0], "b", id="one asks, busy or not"),
        pytest.param([False, False], [NOW, 0.0], "a", id="none asks yet"),
        pytest.param([True, False], [NOW, NOW + 9], "b", id="the other rests"),
        pytest.param([True, True], [NOW, NOW - 1], "b", id="both are asked"),
    ],
)
def test_after_a_rest_one_request_asks_first(
    probed: list[bool], rests: list[float], chosen: str
) -> None:
    targets = [Target("a", 0, rests[0], probed[0]), Target("b", 7, rests[1], probed[1])]
    assert pick_target(targets, 0, NOW).name == chosen


def test_a_rest_grows_up_to_half_a_minute() -> None:
    rest, rests = 0.0, []
    for _ in range(7):
        rest = longer_rest(rest)
        rests.append(rest)
    assert rests == [1, 2, 4, 8, 16, 30, 30]


def test_a_round_tries_each_target_once() -> None:
    a, b = Target("a"), Target("b")
    attempts = Attempts[Target](10.0, NOW)
    assert attempts.failed(a)
    assert attempts.left([a, b]) == [b]
    assert attempts.failed(b)
    assert attempts.left([a, b]) == []
    assert attempts.again_at(UpstreamRefused(""), NOW) == NOW + 0.1
    assert attempts.left([a, b]) == [a, b]
    assert not attempts.failed(a)  # the request has met it before


@pytest.mark.parametrize(
    ("error", "again"),
    [
        pytest.param(UpstreamRefused(""), True, id="refused"),
        pytest.param(UpstreamUnreachable(""), True, id="unreachable"),
        pytest.param(UpstreamUnresolved(""), True, id="unresolved: a container"),
        pytest.param(UpstreamTLSFailed(""), False, id="TLS stays as it is"),
        pytest.param(ConnectTimeout(""), False, id="it had its time"),
    ],
)
def test_only_what_may_pass_is_waited_for(error: UpstreamError, again: bool) -> None:
    attempts = Attempts[Target](10.0, NOW)
    assert (attempts.again_at(error, NOW) is not None) is again


def test_without_a_limit_there_is_no_second_round() -> None:
    attempts = Attempts[Target](0.0, NOW)
    attempts.failed(Target("a"))
    error = UpstreamRefused("nothing listens at a")
    assert attempts.again_at(error, NOW) is None
    assert attempts.verdict(error, NOW) is error


def test_the_last_round_begins_when_the_time_is_up() -> None:
    attempts = Attempts[Target](0.25, NOW)
    error = UpstreamRefused("nothing listens at a")
    for passed, again in ((0.0, 0.1), (0.1, 0.25), (0.2, 0.25), (0.25, None)):
        attempts.failed(Target("a"))
        at = attempts.again_at(error, NOW + passed)
        assert at == (None if again is None else NOW + again)
    verdict = attempts.verdict(error, NOW + 0.25)
    assert isinstance(verdict, UpstreamUnavailable)
    assert str(verdict) == (
        "nothing listens at a, for 0.2 s and 4 attempts (connect_retry_seconds)"
    )


def test_of_several_targets_the_last_one_tried_is_told() -> None:
    attempts = Attempts[Target](0.0, NOW)
    attempts.failed(Target("a"))
    attempts.failed(Target("b"))
    verdict = attempts.verdict(ConnectTimeout("no connection"), NOW)
    assert isinstance(verdict, ConnectTimeout)
    assert str(verdict) == "no connection; 2 targets were tried"
