"""A hop beside the one behind it: what can be compared, and what is its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.hop_comparison import compare
from proxy.tools.doctor.pairing import By, pair_events
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import Result, judge_hops
from proxy.tools.doctor.verdict import Kind
from tests.support.free_streams import RHYTHMS, Network, free_stream, received
from tests.support.held_streams import to_the_end
from tests.unit.doctor.recordings import event, recorded, sent

GZIP = (("Content-Type", "text/event-stream"), ("Content-Encoding", "br"))
WORDS = (("Content-Type", "application/x-words"),)


def at(times: Sequence[float], make: Callable[[int], bytes] = event) -> ProbeRecording:
    """One event at each time."""
    return recorded(*((time, make(number)) for number, time in enumerate(times)))


def every(seconds: float, count: int = 10, later: float = 0.0) -> list[float]:
    return [number * seconds + later for number in range(count)]


def own(name: str) -> Callable[[int], bytes]:
    """Texts of one answer."""
    return lambda number: f"data: {name} {number}\n\n".encode()


def with_id(name: str) -> Callable[[int], bytes]:
    return lambda number: f"id: {number}\n".encode() + own(name)(number)


def long_ones(name: str) -> Callable[[int], bytes]:
    """Texts that begin alike, for more than is shown of them."""
    return lambda number: b"data: " + b"x" * 80 + own(name)(number)[6:]


def chain(here: ProbeRecording, behind: ProbeRecording) -> Result:
    return judge_hops(
        [replace(here, url="http://hop/"), replace(behind, url="http://back/")]
    )


def all_at(
    when: float, make: Callable[[int], bytes], count: int = 10
) -> ProbeRecording:
    return recorded((when, b"".join(map(make, range(count)))))


# -- by what they are compared ----------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "by"),
    [
        pytest.param(
            at(every(0.2), lambda n: sent(n + 1, 10, n * 0.2)),
            at(every(0.2), lambda n: sent(n + 1, 10, n * 0.2)),
            By.MARKS,
            id="of the test origin",
        ),
        pytest.param(at(every(0.2)), at(every(0.2)), By.TEXTS, id="equal texts"),
        pytest.param(
            at(every(0.2, 4)), at(every(0.2)), By.TEXTS, id="equal, but fewer"
        ),
        pytest.param(
            at(every(0.2), with_id("a")),
            at(every(0.2), with_id("b")),
            By.IDS,
            id="the same ids",
        ),
        pytest.param(
            at(every(0.2), own("a")),
            at(every(0.2), own("b")),
            By.POSITION,
            id="nothing the same",
        ),
        pytest.param(
            at(every(0.2), long_ones("a")),
            at(every(0.2), long_ones("b")),
            By.POSITION,
            id="the same beginnings",
        ),
        pytest.param(
            at(every(0.2), lambda n: b"id: 7\n" + own("a")(n)),
            at(every(0.2), lambda n: b"id: 7\n" + own("b")(n)),
            By.POSITION,
            id="one id for all",
        ),
        pytest.param(
            at([0.1, 0.2], own("a")), at([0.1, 0.2], own("b")), By.FIRST, id="too few"
        ),
        pytest.param(
            replace(at(every(0.2)), fields=GZIP, fault="content coding br is not"),
            at(every(0.2)),
            By.FIRST,
            id="a coding that nobody can take off",
        ),
        pytest.param(
            recorded(*((t, b"word ") for t in every(0.2)), fields=WORDS),
            recorded(*((t, b"word ") for t in every(0.2)), fields=WORDS),
            By.BYTES,
            id="no events",
        ),
        pytest.param(
            recorded(*((t, b"word ") for t in every(0.2)), fields=WORDS),
            recorded(*((t, b"else ") for t in every(0.2)), fields=WORDS),
            By.FIRST,
            id="no events, and other bytes",
        ),
    ],
)
def test_what_two_hops_have_in_common(
    here: ProbeRecording, there: ProbeRecording, by: By
) -> None:
    assert pair_events(shape_of(here), shape_of(there)).by is by
    result = chain(here, there)
    assert f"hops are compared by {by.value}" in result.verdict.evidence


def test_texts_that_come_again_are_paired_in_order() -> None:
    """Two thirds of the texts are the same word."""
    words = [b"data: %b\n\n" % word for word in (b"a", b"a", b"b") * 4]
    times = every(0.2, 12)
    here = at(times[1:], lambda number: words[number + 1])  # joined later
    pairs = pair_events(shape_of(here), shape_of(at(times, lambda n: words[n]))).pairs
    assert len(pairs) == 11


def test_bytes_are_paired_with_the_read_that_completes_them() -> None:
    here = recorded((0.5, b"one two "), (0.9, b"three "), fields=WORDS)
    there = recorded(
        (0.1, b"one "), (0.2, b"two "), (0.3, b"thr"), (0.4, b"ee "), fields=WORDS
    )
    pairs = pair_events(shape_of(here), shape_of(there)).pairs
    assert [(pair.here, pair.there) for pair in pairs] == [
        (0.5, 0.1), (0.5, 0.2), (0.9, 0.3), (0.9, 0.4)
    ]  # fmt: skip


# -- events -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [event, with_id("a"), own("a")])
@pytest.mark.parametrize("other", [event, with_id("b"), own("b")])
def test_what_is_collected_is_found_whatever_the_texts_are(
    make: Callable[[int], bytes], other: Callable[[int], bytes]
) -> None:
    result = chain(all_at(1.9, make), at(every(0.2), other))
    assert result.verdict.kind is Kind.AT_THE_END
    assert result.holder.recording.url == "http://hop/"
    assert result.verdict.hold == pytest.approx(1.8, abs=0.2)


def test_a_long_way_is_no_hold() -> None:
    """All comes 0.35 s later: head, events and end."""
    far = replace(at(every(0.2, later=0.35)), head=0.351)
    result = chain(far, at(every(0.2)))
    assert (result.status, result.verdict.kind) == (0, Kind.STREAMS)
    assert result.cases[0].added == pytest.approx(0.0, abs=1e-6)
    assert any("a long way" in each for each in result.verdict.evidence)


def test_a_long_way_to_the_hop_behind_is_no_hold_either() -> None:
    far = replace(at(every(0.2, later=0.35)), head=0.351)
    assert chain(at(every(0.2)), far).status == 0


def test_a_hold_behind_a_long_way_is_measured_without_the_way() -> None:
    times = [0.35 + (number // 5 * 5 + 4) * 0.2 for number in range(10)]
    merged = recorded(*(
        (times[start], b"".join(map(event, range(start, start + 5))))
        for start in (0, 5)
    ))  # fmt: skip
    result = chain(replace(merged, head=0.351), at(every(0.2)))
    assert result.status == 1
    assert result.verdict.hold == pytest.approx(0.8, abs=0.01)


def test_a_hold_before_a_long_way_is_measured_with_it() -> None:
    """The hop behind is far for us, and near to the hop that holds a little."""
    far = replace(at(every(0.2, 12, later=0.35)), head=0.351)
    times = every(0.2, 12)
    for number in (4, 5, 6, 7):
        times[number] += 0.3
    result = chain(at(sorted(times)), far)
    assert result.status == 1
    assert result.verdict.hold == pytest.approx(0.3, abs=0.01)


def test_events_that_are_evenly_late_behind_a_prompt_head_are_held() -> None:
    result = chain(at(every(0.2, later=0.3)), at(every(0.2)))
    assert (result.status, result.verdict.kind) == (1, Kind.DELAYED)
    assert not result.verdict.sure


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
    assert chain(at(late), at(times)).holder.recording.url == "http://hop/"
    assert chain(at(late), at(times)).status == 1


def test_a_pause_of_the_back_end_in_one_of_two_answers_is_not_held() -> None:
    paused = every(0.2, 10) + every(0.2, 10, later=4.0)
    assert chain(at(paused), at(every(0.2, 20))).status == 0


def test_one_late_event_among_many_is_a_busy_machine() -> None:
    times = every(0.2, 20)
    times[7] += 0.15
    assert chain(at(times), at(every(0.2, 20))).status == 0


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


# -- the head ---------------------------------------------------------------------


@pytest.mark.parametrize(("make", "other"), [(event, event), (own("a"), own("b"))])
def test_a_head_that_waits_for_the_first_event_is_found(
    make: Callable[[int], bytes], other: Callable[[int], bytes]
) -> None:
    late = replace(at(every(0.2, later=1.5), make), head=1.5)
    result = chain(late, at(every(0.2, later=1.5), other))
    assert result.verdict.kind is Kind.HEAD_LATE
    assert result.verdict.line == (
        "It streams, but http://hop/ holds the response head until the first event: "
        "1.50 s late."
    )


def test_a_head_is_named_only_where_nothing_else_is_held() -> None:
    head = replace(at(every(0.2, later=1.5)), head=1.5)
    result = judge_hops([
        replace(all_at(3.5, event), url="http://all/"),
        replace(head, url="http://head/"),
        replace(at(every(0.2, later=1.5)), url="http://back/"),
    ])  # fmt: skip
    assert result.holder.recording.url == "http://all/"
    assert any(each.startswith("http://head/: it streams, but")
               for each in result.verdict.evidence)  # fmt: skip


def test_an_answer_that_takes_longer_to_begin_has_no_late_head() -> None:
    """The head comes with the first event at both hops, at other times."""
    slow = replace(at(every(0.2, later=1.5), own("a")), head=1.5)
    quick = replace(at(every(0.2, later=0.4), own("b")), head=0.4)
    assert chain(slow, quick).status == 0
    assert chain(quick, slow).status == 0


def test_a_head_that_was_long_on_its_way_was_not_held_for_another_answers_event() -> (
    None
):
    far = replace(at(every(0.2, later=0.8), own("a")), head=0.35)
    near = at(every(0.2, later=1.2), own("b"))
    assert chain(far, near).status == 0


# -- the end ----------------------------------------------------------------------


def test_a_stream_that_breaks_at_one_hop_is_cut_there() -> None:
    cut = replace(at(every(0.2, 5)), ending="cut", fault="reset")
    result = chain(cut, at(every(0.2)))
    assert result.verdict.kind is Kind.CUT
    assert result.verdict.sure
    assert result.verdict.line == (
        "The stream is cut at http://hop/: 5 events and 0.80 s in, while it went on "
        "behind it."
    )


def test_another_answer_that_breaks_is_cut_too() -> None:
    cut = replace(at(every(0.2, 5), own("a")), ending="cut", fault="reset")
    assert chain(cut, at(every(0.2), own("b"))).verdict.kind is Kind.CUT


def test_an_end_that_only_looks_like_one_is_a_cut() -> None:
    result = chain(at(every(0.2, 5)), at(every(0.2)))
    assert result.verdict.kind is Kind.CUT
    assert result.verdict.line == (
        "The stream is cut at http://hop/: it ended after 5 events as if it were "
        "complete, and 5 more events came at the hop behind it."
    )
    assert result.cases[0].verdict.kind is Kind.CUT  # in the list of hops


def test_what_was_cut_behind_is_not_cut_here() -> None:
    cut = replace(at(every(0.2, 5)), ending="cut", fault="reset")
    result = judge_hops([
        replace(cut, url="http://a/"),
        replace(cut, url="http://b/"),
        replace(at(every(0.2)), url="http://back/"),
    ])  # fmt: skip
    assert result.holder.recording.url == "http://b/"


def test_two_answers_of_other_lengths_are_not_cut_but_counted() -> None:
    result = chain(at(every(0.2, 6), own("a")), at(every(0.2), own("b")))
    assert result.status == 0
    assert any("6 events here, 10 at the hop behind it" in each
               for each in result.verdict.evidence)  # fmt: skip


def test_what_was_stopped_is_not_cut() -> None:
    stopped = replace(at(every(0.2, 5)), ending="stopped")
    assert chain(stopped, replace(at(every(0.2)), ending="stopped")).status == 0


def test_a_client_that_is_left_waiting_behind_the_end_is_cut_off() -> None:
    """Some proxies close the connection to the back end, and not that to the client."""
    waiting = replace(at(every(0.2, 5)), ending="stopped", ended=10.0)
    result = chain(waiting, at(every(0.2)))
    assert (result.verdict.kind, result.status) == (Kind.CUT, 1)
    assert result.holder.recording.url == "http://hop/"
    assert "5 more events and the end came at the hop behind it" in result.verdict.line
    soon = replace(waiting, ended=2.0)  # what is missing may be on its way
    assert chain(soon, at(every(0.2))).verdict.kind is not Kind.CUT
    whole = replace(at(every(0.2)), ending="stopped", ended=10.0)
    assert chain(whole, at(every(0.2))).verdict.kind is not Kind.CUT


def test_events_that_are_lost_on_the_way_are_counted() -> None:
    some = [number for number in range(10) if number not in (3, 4)]
    here = recorded(*((number * 0.2, event(number)) for number in some))
    result = chain(here, at(every(0.2)))
    assert any("2 in the middle did not come" in each
               for each in result.verdict.evidence)  # fmt: skip


# -- who keeps even its head --------------------------------------------------------

BROWSER = (("Accept-Encoding", "gzip"),)


def kept_back() -> list[ProbeRecording]:
    silent = replace(recorded(), request=BROWSER, head=None, status=0, fields=())
    return [
        replace(silent, url="http://hop/", ending="no head", ended=9.0),
        replace(at(every(0.3, 30)), url="http://back/"),
    ]


def test_a_compressor_that_kept_its_head_has_the_cures_of_one() -> None:
    plain = at(every(0.3, 10))
    plain = replace(plain, label="without compression",
                    request=(("Accept-Encoding", "identity"),))  # fmt: skip
    result = judge_hops(kept_back(), plain=plain)
    assert "only when the client accepts compression" in result.verdict.line
    assert "Accept-Encoding: identity" in [each.lines for each in result.cures]
    assert any(each.startswith("without compression: ")
               for each in result.verdict.evidence)  # fmt: skip


def test_who_holds_what_is_not_compressed_has_no_such_cures() -> None:
    plain = replace(kept_back()[0], request=(("Accept-Encoding", "identity"),))
    result = judge_hops(kept_back(), plain=plain)
    assert result.verdict.held
    assert "compression" not in result.verdict.line
    assert "Accept-Encoding: identity" not in [each.lines for each in result.cures]


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
