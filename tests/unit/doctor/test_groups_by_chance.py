"""Groups whose sender makes them, at no interval and of no number, are no hold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import Result, judge_one
from proxy.tools.doctor.verdict import Kind
from tests.support.free_streams import FreeStream, Network, received, tokens
from tests.support.held_streams import Hop, by_nagle, by_timer, in_blocks
from tests.unit.doctor.recordings import chain, event, recorded

SEEDS = range(60)


def groups(
    chooser: random.Random, least: float, most: float, largest: int = 6
) -> ProbeRecording:
    """Some events at a time, at distances between these."""
    now, number, arrivals = 0.0, 0, []
    while now < 5:
        now += chooser.uniform(least, most)
        count = chooser.randint(1, largest)
        arrivals.append((now, b"".join(event(number + n) for n in range(count))))
        number += count
    return recorded(*arrivals)


def asked(hop: Hop, answers: Sequence[FreeStream]) -> Result:
    """Another answer each time, behind a hop."""
    return judge_one(
        [
            received(replace(each, writes=tuple(hop(each.writes))), Network(0.005))
            for each in answers
        ]
    )


def seen(results: Sequence[Result]) -> Counter[bool]:
    return Counter(each.verdict.held for each in results)


@pytest.mark.parametrize(
    ("least", "most"), [(0.3, 0.9), (0.25, 1.0), (0.4, 0.8), (0.1, 1.5)]
)
def test_the_groups_of_each_request_are_its_sender_s(least: float, most: float) -> None:
    """All but a few: by chance the groups of one request end as those of another."""
    results = []
    for seed in SEEDS:
        chooser = random.Random(seed)
        results.append(judge_one([groups(chooser, least, most) for _ in range(3)]))
    assert seen(results)[True] <= 3
    kinds = Counter(each.verdict.kind for each in results if not each.verdict.held)
    assert kinds[Kind.GROUPS] > 50


@pytest.mark.parametrize("largest", [3, 6])
@pytest.mark.parametrize(("least", "most"), [(0.3, 0.9), (0.4, 0.8), (0.3, 1.2)])
def test_groups_at_no_interval_show_in_one_request(
    least: float, most: float, largest: int
) -> None:
    """As of a POST or a WebSocket, which are not sent again."""
    results = [
        judge_one([groups(random.Random(seed), least, most, largest)]) for seed in SEEDS
    ]
    assert seen(results)[True] <= 6


def test_the_same_groups_each_time_are_the_sender_s_at_no_interval() -> None:
    """A build, or what is played back."""
    now, number, arrivals = 0.0, 0, []
    gaps = (0.4, 0.9, 0.35, 1.1, 0.6, 0.3, 0.8, 0.5)
    for gap, count in zip(gaps, (3, 2, 5, 1, 4, 2, 3, 6), strict=True):
        now += gap
        arrivals.append((now, b"".join(event(number + n) for n in range(count))))
        number += count
    result = judge_one([recorded(*arrivals)] * 3)
    assert result.verdict.kind is Kind.GROUPS
    assert "at no fixed interval" in result.verdict.evidence[0]


def test_what_compression_collects_of_such_groups_is_held_by_it_alone() -> None:
    asked = (("Accept-Encoding", "gzip"),)
    plain = replace(
        groups(random.Random(1), 0.3, 0.9),
        request=(("Accept-Encoding", "identity"),), label="without compression",
    )  # fmt: skip
    events = b"".join(arrival.data for arrival in plain.arrivals)
    held = replace(recorded((plain.ended, events)), request=asked)
    verdict = judge_one([held, plain]).verdict
    assert verdict.kind is Kind.AT_THE_END
    assert verdict.line.endswith("only when the client accepts compression.")


@pytest.mark.parametrize("largest", [2, 3, 6])
def test_a_hop_that_collects_all_of_another_answer_s_groups_is_found(
    largest: int,
) -> None:
    for seed in SEEDS:
        chooser = random.Random(seed)
        here, there = (groups(chooser, 0.3, 0.9, largest) for _ in range(2))
        events = b"".join(arrival.data for arrival in here.arrivals)
        result = chain(recorded((here.ended, events)), there)
        assert result.verdict.held, seed
        assert result.holder.recording.url == "http://hop/"


def hesitating(chooser: random.Random) -> FreeStream:
    """A model that stops to think now and then."""
    now, writes = chooser.uniform(0.1, 0.8), list[tuple[float, bytes]]()
    while now < 4:
        writes.append((now, event(len(writes))))
        thinks = chooser.random() < 0.05
        now += chooser.uniform(0.3, 0.8) if thinks else chooser.uniform(0.01, 0.09)
    return FreeStream("hesitating", tuple(writes))


def test_what_the_kernel_makes_of_a_sender_with_pauses_is_held() -> None:
    results = []
    for seed in SEEDS:
        answers = [hesitating(random.Random(f"{seed} {n}")) for n in range(3)]
        results.append(asked(by_nagle(0.2), answers))
    assert seen(results)[False] <= 6, Counter(each.verdict.kind for each in results)


@pytest.mark.parametrize(
    "hop",
    [
        pytest.param(by_timer(0.5), id="timer"),
        pytest.param(by_timer(1.0), id="long timer"),
        pytest.param(by_nagle(0.2), id="Nagle"),
        pytest.param(in_blocks(4096), id="4 KiB"),
    ],
)
def test_what_a_hop_makes_of_another_answer_each_time_is_held(hop: Hop) -> None:
    results = []
    for seed in SEEDS:
        answers = [tokens(random.Random(f"{seed} {n}")) for n in range(3)]
        results.append(asked(hop, answers))
    assert seen(results)[False] <= 3, Counter(each.verdict.kind for each in results)
