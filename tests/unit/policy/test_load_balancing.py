from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

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
from proxy.policy.load_balancing import (
    Attempts,
    longer_rest,
    pick_by_value,
    pick_target,
    seed,
)

NOW = 100.0


@dataclass(eq=False)
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


# -- by a value


def by_value(
    targets: list[Target], value: bytes, made_by: Target | None = None
) -> Target:
    seeds = {each: seed(each.name.encode()) for each in targets}
    return pick_by_value(targets, seeds, value, made_by, NOW)


VALUES = [b"%d" % number for number in range(3000)]


def test_values_are_spread_evenly_whatever_the_order_of_targets() -> None:
    targets = [Target(name) for name in "abc"]
    found = Counter(by_value(targets, value).name for value in VALUES)
    assert all(900 < count < 1100 for count in found.values())
    turned = [by_value(targets[::-1], value).name for value in VALUES]
    assert turned == [by_value(targets, value).name for value in VALUES]


def test_the_same_value_goes_to_the_same_target_in_all_versions() -> None:
    """Machines of a rolling update have to agree, too: these results never change."""
    targets = [Target(f"http://10.0.0.{number}:8000") for number in range(1, 5)]
    found = "".join(by_value(targets, value).name[14] for value in VALUES[:24])
    assert found == "444413441342431423331231"


@pytest.mark.parametrize(
    "away",
    [
        pytest.param({"rests_until": NOW + 1}, id="it rests"),
        pytest.param({"probed": True}, id="a request finds out whether it is back"),
    ],
)
def test_only_the_share_of_a_target_that_is_away_moves(away: dict[str, Any]) -> None:
    targets = [Target(name) for name in "abc"]
    gone = [targets[0], replace(targets[1], **away), targets[2]]
    moved: Counter[str] = Counter()
    for value in VALUES:
        before, after = by_value(targets, value).name, by_value(gone, value).name
        if before == "b":
            moved[after] += 1
        else:
            assert before == after
    assert set(moved) == {"a", "c"}
    assert min(moved.values()) > 400


def test_what_a_target_has_made_is_its_own_unless_it_is_away() -> None:
    targets = [Target(name) for name in "abc"]
    resting = [targets[0], Target("b", rests_until=NOW + 1), targets[2]]
    for value in VALUES[:100]:
        assert by_value(targets, value, targets[1]) is targets[1]
        assert by_value(resting, value, resting[1]) is not resting[1]


def test_if_all_rest_the_one_that_a_value_decides_is_asked_all_the_same() -> None:
    """What belongs to the value is nowhere else."""
    awake = [Target(name) for name in "abc"]
    resting = [Target(name, rests_until=NOW + n + 1) for n, name in enumerate("abc")]
    for value in VALUES[:100]:
        assert by_value(resting, value).name == by_value(awake, value).name
    asked = [replace(each, probed=each.name == "b") for each in resting]
    assert "b" not in {by_value(asked, value).name for value in VALUES[:100]}
    asked = [replace(each, probed=True) for each in resting]
    for value in VALUES[:100]:
        assert by_value(asked, value).name == by_value(awake, value).name
