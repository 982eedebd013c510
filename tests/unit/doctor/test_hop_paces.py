"""A hop beside the one behind it: two answers, each with a pace of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from proxy.tools.doctor.hop_comparison import compare
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind
from tests.support.free_streams import RHYTHMS, Network, free_stream, received
from tests.support.held_streams import to_the_end
from tests.unit.doctor.recordings import (
    all_at,
    at,
    chain,
    event,
    every,
    own,
    recorded,
)

# -- one by one --------------------------------------------------------------------


def test_another_answer_that_begins_later_is_not_held() -> None:
    result = chain(at(every(0.2, later=0.7), own("a")), at(every(0.2), own("b")))
    assert result.status == 0


def test_a_slower_answer_is_not_held() -> None:
    """The same texts, one by one, each a little later: a pace of its own."""
    assert chain(at(every(0.25, 20)), at(every(0.2, 20))).status == 0
    other = chain(at(every(0.25, 20), own("a")), at(every(0.2, 23), own("b")))
    assert other.status == 0


def by_chance(seed: int) -> list[float]:
    """When a model that says the same again sends: at a pace by chance."""
    chooser = random.Random(seed)
    return list(
        accumulate((chooser.uniform(0.02, 0.08) for _ in range(109)), initial=0.0)
    )


def test_equal_texts_at_two_paces_by_chance_are_not_held() -> None:
    """Each event by itself, and the delay the sum of all gaps before it."""
    for seed in range(0, 200, 2):
        result = chain(at(by_chance(seed)), at(by_chance(seed + 1)))
        assert not result.verdict.held, (seed, result.verdict)


def some_by_chance(chooser: random.Random) -> ProbeRecording:
    """As many events as come in five seconds."""
    times = accumulate(iter(lambda: chooser.uniform(0.05, 0.2), None), initial=0.0)
    return at([time for time, _ in zip(times, range(60), strict=False) if time < 5])


def test_a_shorter_answer_at_a_pace_of_its_own_was_not_cut() -> None:
    """All but a few, which are in step with the other one by chance."""
    found = []
    for seed in range(100):
        chooser = random.Random(seed)
        result = chain(some_by_chance(chooser), some_by_chance(chooser))
        found.append(result.verdict.kind is Kind.CUT)
    assert sum(found) <= 8


def test_a_stream_at_a_pace_by_chance_that_a_hop_ends_too_early_was_cut() -> None:
    for seed in range(100):
        chooser = random.Random(seed)
        there = some_by_chance(chooser)
        times = [each.at for each in there.arrivals][:20]
        late = sorted(time + chooser.uniform(0, 0.02) for time in times)
        assert chain(at(late), there).verdict.kind is Kind.CUT, seed


@pytest.mark.parametrize("delay", [0.15, 0.3, 1.0])
def test_what_a_hop_delays_of_a_pace_by_chance_is_found(delay: float) -> None:
    """Each event by itself, by about as much as any other."""
    for seed in range(40):
        times, chooser = by_chance(seed), random.Random(seed)
        late = sorted(time + delay + chooser.uniform(0, 0.03) for time in times)
        result = chain(at(late), at(times))
        assert result.verdict.held, seed
        assert result.holder.recording.url == "http://hop/"


def test_each_event_that_waits_for_the_next_one_is_found_at_any_pace() -> None:
    """The delay is the next gap, which becomes shorter by and by."""
    times = list(accumulate((0.8 * 0.93**number for number in range(30)), initial=0.0))
    late = [*times[1:], times[-1] + 0.001]
    result = chain(at(late), at(times))
    assert result.holder.recording.url == "http://hop/"
    assert result.status == 1
    assert "each event waits for the next one" in result.verdict.line


def test_nobody_with_a_timer_is_suspected_of_what_waits_for_the_next_one() -> None:
    """At 0.2 s, as HAProxy and Puma hold what comes, too."""
    times = every(0.2, 20)
    late = [*times[1:], times[-1] + 0.001]
    result = chain(at(late), at(times))
    assert "each event waits for the next one" in result.verdict.line
    assert not any(each.product for each in result.signs)
    assert [each.product for each in result.cures] == [""]


def test_a_pause_of_the_back_end_in_one_of_two_answers_is_not_held() -> None:
    paused = every(0.2, 10) + every(0.2, 10, later=4.0)
    assert chain(at(paused), at(every(0.2, 20))).status == 0


def test_one_late_event_among_many_is_a_busy_machine() -> None:
    times = every(0.2, 20)
    times[7] += 0.15
    assert chain(at(times), at(every(0.2, 20))).status == 0


def test_equal_texts_of_two_lengths_are_two_answers() -> None:
    """By chance one of two has more to say: its end is no cut at the other hop."""
    for seed in range(30):
        chooser = random.Random(seed)
        two = []
        for count in (18, 21):
            number, time, came = 0, 0.0, []
            while number < count:
                size = min(chooser.randint(1, 5), count - number)
                came.append((time, b"".join(map(event, range(number, number + size)))))
                time += chooser.uniform(0.25, 1.0)
                number += size
            two.append(recorded(*came))
        assert chain(*two).status != 1, (seed, chain(*two).verdict)


def test_a_head_that_is_held_before_groups_is_what_is_held() -> None:
    """The groups of the last hop are the sender's; the head that is late is not."""
    back = groups([2, 5, 1, 4, 3, 5, 2, 4], 0.6, "a")
    shifted = [(each.at + 0.7, each.data) for each in back.arrivals]
    back = replace(recorded(*shifted), head=0.001)
    result = chain(replace(back, head=0.7), back)
    assert result.verdict.kind is Kind.HEAD_LATE
    assert result.holder.recording.url == "http://hop/"


def test_a_limit_on_the_rate_is_found_though_its_delay_only_grows() -> None:
    """mod_ratelimit: 10 events each 0.2 s, of a sender of 20 in that time."""
    fast = at(every(0.01, 400))
    slow = recorded(*(
        (0.2 * turn, b"".join(map(event, range(10 * turn, 10 * turn + 10))))
        for turn in range(40)
    ))  # fmt: skip
    result = chain(slow, fast)
    assert result.status == 1
    assert result.holder.recording.url == "http://hop/"
    assert result.verdict.hold == pytest.approx(3.9, abs=0.2)


# -- in groups ---------------------------------------------------------------------


def test_groups_at_other_moments_are_no_hold() -> None:
    """A sender of groups, asked twice."""

    def groups(later: float) -> ProbeRecording:
        return recorded(*(
            (0.4 * group + later, b"".join(map(event, range(group * 4, group * 4 + 4))))
            for group in range(6)
        ))  # fmt: skip

    found = compare(groups(0.3), groups(0.0))
    assert found is not None
    assert found.free


def test_what_the_last_hop_sends_in_groups_hides_no_hold_before_it() -> None:
    """Of groups alone it is not sure that anything is held."""
    groups = recorded(*(
        (0.4 * group, b"".join(map(event, range(group * 4, group * 4 + 4))))
        for group in range(6)
    ))  # fmt: skip
    result = chain(all_at(2.1, event, 24), groups)
    assert result.verdict.kind is Kind.AT_THE_END
    assert result.holder.recording.url == "http://hop/"


@pytest.mark.parametrize("delay", [0.2, 0.4, 0.8])
def test_groups_that_a_hop_holds_for_less_than_their_distance_are_found(
    delay: float,
) -> None:
    """As HAProxy does, which lets the last one go with the end."""
    back = groups([3] * 6, 1.0, "a")
    times = [*(each.at + delay for each in back.arrivals[:-1]), 5.03]
    late = recorded(*zip(times, (each.data for each in back.arrivals), strict=True))
    result = chain(late, replace(back, ended=5.02))
    assert result.status == 1
    assert result.holder.recording.url == "http://hop/"
    assert result.verdict.hold == pytest.approx(delay, abs=0.02)
    shifted = [each.at + delay for each in back.arrivals]
    later = recorded(*zip(shifted, (each.data for each in back.arrivals), strict=True))
    assert chain(later, back).status != 1  # a clock of the sender's


def groups(sizes: Sequence[int], every: float, name: str) -> ProbeRecording:
    """Groups of these sizes at one distance."""
    found, number = [], 0
    for turn, size in enumerate(sizes):
        texts = map(own(name), range(number, number + size))
        found.append((turn * every, b"".join(texts)))
        number += size
    return recorded(*found)


def test_another_answer_with_larger_groups_is_not_held() -> None:
    """All there is, and then ticks: of which there was more for one request."""
    much = groups([40, *[3] * 8], 0.5, "a")
    little = groups([8, *[3] * 8], 0.5, "b")
    assert not chain(much, little).verdict.held
    assert not chain(little, much).verdict.held


def test_the_first_events_of_another_answer_of_the_same_pace_are_found() -> None:
    """A buffer that is filled once, too early for its shape to show it."""
    first = b"".join(map(own("a"), range(5)))
    rest = ((0.1 * n, own("a")(n)) for n in range(5, 30))
    result = chain(recorded((0.4, first), *rest), at(every(0.1, 30), own("b")))
    assert result.holder.recording.url == "http://hop/"
    assert result.status == 1


# -- a machine that pauses ----------------------------------------------------------


def paused(start: float, until: float, times: Sequence[float]) -> list[float]:
    """What is due in a pause comes at its end."""
    return [until if start <= time < until else time for time in times]


def slower_and_slower() -> list[float]:
    """Half of all in the first quarter of a second, the others by and by."""
    return [*every(0.012, 20, 0.1), *every(0.5, 12, 0.9)]


def test_a_pause_with_many_events_on_their_way_is_no_hold() -> None:
    """A third is late, by 0.23 s, but at one moment of many."""
    times = slower_and_slower()
    late = paused(0.11, 0.36, times)
    assert sum(one - other > 0.1 for one, other in zip(late, times, strict=True)) > 8
    assert chain(at(late), at(times)).status == 0


def test_the_beginning_that_a_hop_collects_is_held_all_the_same() -> None:
    """As a pause, but from the first event on."""
    times = slower_and_slower()
    result = chain(at(paused(0.0, 0.36, times)), at(times))
    assert result.verdict.held
    assert result.holder.recording.url == "http://hop/"


def test_what_is_late_at_one_moment_by_far_is_held() -> None:
    times = slower_and_slower()
    result = chain(at(paused(0.11, 0.9, times)), at(times))
    assert result.holder.recording.url == "http://hop/"
    assert result.verdict.held


def test_what_is_late_at_many_moments_is_held_though_by_little() -> None:
    times = every(0.1, 30)
    late = [time - time % 0.4 + 0.4 for time in times]
    result = chain(at(late), at(times))
    assert result.verdict.held
    assert result.holder.recording.url == "http://hop/"


def test_a_pause_at_the_hop_behind_is_no_hold_before_it() -> None:
    """All came at once here, and sooner than there: nothing can have waited."""
    times = [0.005] * 28
    assert chain(at(times), at([0.001] * 20 + [0.17] * 8)).status != 1


# -- senders of every rhythm --------------------------------------------------------

UNFIT = ("ends at once", "huge")  # over too soon, or by one read at a time


@pytest.mark.parametrize("rhythm", range(len(RHYTHMS)))
def test_two_answers_of_a_sender_are_not_held(rhythm: int) -> None:
    """Other texts, another pace and another number of events, by another way."""
    for seed in range(rhythm, 10 * len(RHYTHMS), len(RHYTHMS)):
        one, other = free_stream(seed), free_stream(seed + 1000 * len(RHYTHMS))
        if one.rhythm in UNFIT or one.type != other.type:
            continue
        far = Network(0.3, jitter=0.01, pauses=0.05, seed=seed)
        near = Network(0.005, seed=seed + 1)
        for here, behind in ((far, near), (near, far)):
            result = chain(received(one, here), received(other, behind))
            holds = result.verdict.held and result.holder.recording.url == "http://hop/"
            assert not holds, (seed, result.verdict)


@pytest.mark.parametrize("rhythm", range(len(RHYTHMS)))
def test_what_a_hop_collects_of_any_sender_is_found(rhythm: int) -> None:
    for seed in range(rhythm, 10 * len(RHYTHMS), len(RHYTHMS)):
        stream = free_stream(seed)
        if stream.rhythm in (*UNFIT, "one and silence"):
            continue
        held = replace(stream, writes=tuple(to_the_end(stream.writes)))
        result = chain(received(held, Network(seed=seed)), received(stream, Network()))
        assert result.verdict.kind is Kind.AT_THE_END, (seed, result.verdict)
        assert result.holder.recording.url == "http://hop/"


# -- pieces of another answer -------------------------------------------------------

BINARY = (("Content-Type", "application/octet-stream"),)


def pieces(times: Sequence[float], chooser: random.Random, size: int) -> ProbeRecording:
    """An answer of bytes by chance, as many each time; none of them ends a line."""
    came = ((time, chooser.randbytes(size).hex().encode()) for time in times)
    return recorded(*came, fields=BINARY, ended=times[-1] + 0.001)


@pytest.mark.parametrize("size", [3, 7])
def test_pieces_that_come_together_are_held_whatever_they_say(size: int) -> None:
    """Bytes are others in each answer, but as many, and cut at the same places."""
    chooser = random.Random(1)
    there = pieces(every(0.1, 10 * size), chooser, 24)
    times = [there.arrivals[n + size - 1].at for n in range(0, 10 * size, size)]
    result = chain(pieces(times, chooser, 24 * size), there)
    assert result.status == 1
    assert result.holder.recording.url == "http://hop/"


def test_as_long_pieces_at_paces_of_their_own_are_not_held() -> None:
    for seed in range(100):
        chooser = random.Random(seed)
        paces = (
            list(accumulate((chooser.uniform(0.02, 0.4) for _ in range(30)), initial=0))
            for _ in range(2)
        )
        here, there = (pieces(times, chooser, 24) for times in paces)
        assert chain(here, there).status == 0, seed
