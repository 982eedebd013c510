"""No free stream is called held, whatever its rhythm; and what is held still is.

Both are made up: a sender, a network, and for the held ones a hop. Real free streams
are in tests/wire/test_doctor_free.py, real hops in tests/traces.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import Result, judge_hops, judge_one
from proxy.tools.doctor.verdict import Kind
from tests.support.free_streams import (
    RHYTHMS,
    FreeStream,
    Network,
    bursts,
    decelerating,
    free_stream,
    received,
    snapshot_and_ticks,
    timed,
    tokens,
)
from tests.support.held_streams import (
    Hop,
    by_compressor,
    by_nagle,
    by_timer,
    in_blocks,
    to_the_end,
    until_full,
)
from tests.unit.doctor.recordings import event, recorded

VARIANTS = ("", "without compression", "with Accept: */*")
# By seeds: a search finds in the end a pause of the machine that looks like a hold.
TRIALS = 2 * len(RHYTHMS)
FOUND = (  # once, by a search
    (2, Network(0.005)),  # bursts
    (4, Network(0.0003, 0.01, 0.05)),  # a snapshot and ticks
    (9, Network(0.005, 0.001, 0.2, 2e7)),  # huge
    (74, Network(0.1, 0.0, 0.05, seed=222)),  # a pause in the middle of a tick
    (1005, Network(0.1, 0.03, 0.2, 5e6, seed=3015)),  # a pause at the beginning
)


def network_of(seed: int) -> Network:
    chooser = random.Random(seed)
    return Network(
        latency=chooser.choice((0.0003, 0.005, 0.04, 0.1)),
        jitter=chooser.choice((0.0, 0.001, 0.01, 0.03)),
        pauses=chooser.choice((0.0, 0.05, 0.2)),
        rate=chooser.choice((1e9, 2e7, 5e6)),
        seed=chooser.randrange(1000),
    )


def examined(stream: FreeStream, network: Network) -> Result:
    """As the doctor does: once, and again in other words if it cannot be told."""
    asked = [
        replace(received(stream, replace(network, seed=network.seed + n)), label=label)
        for n, label in enumerate(VARIANTS)
    ]
    first = judge_one(asked[:1])
    return judge_one(asked) if first.status else first


@pytest.mark.parametrize(
    ("seed", "network"), [*FOUND, *((n, network_of(n)) for n in range(TRIALS))]
)
def test_no_free_stream_is_called_held(seed: int, network: Network) -> None:
    stream = free_stream(seed)
    result = examined(stream, network)
    assert not result.verdict.held, (stream.rhythm, result.verdict)


@pytest.mark.parametrize("seed", range(TRIALS))
def test_no_hop_of_a_free_stream_is_called_a_holder(seed: int) -> None:
    """Its own recording and that of the back end, over a way that is longer.

    Without pauses: who measures both at the same time has the same at both.
    """
    stream = free_stream(seed)
    way = random.Random(seed).uniform(0.0, 0.3)
    network = replace(network_of(seed), pauses=0.0)
    further = replace(network, latency=network.latency + way, seed=network.seed + 1)
    front = replace(received(stream, further), url="http://front/", connected=way)
    back = replace(received(stream, network), url="http://back/")
    verdict = judge_hops([front, back]).verdict
    assert "front" not in verdict.line or not verdict.held, (stream.rhythm, verdict)


# -- what is held -------------------------------------------------------------------


def steady(chooser: random.Random) -> FreeStream:
    return FreeStream("steady", timed(chooser, [0.04] * 150))


def long_answer(chooser: random.Random) -> FreeStream:
    """A model's, of some buffers."""
    stream = tokens(chooser)
    longer = tuple((at, data[:-2] + b"." * 60 + b"\n\n") for at, data in stream.writes)
    return replace(stream, writes=longer)


def behind(hop: Hop, stream: FreeStream) -> FreeStream:
    return replace(stream, writes=tuple(hop(stream.writes)))


@pytest.mark.parametrize("sender", [steady, long_answer])
@pytest.mark.parametrize(
    ("hop", "kinds"),
    [
        pytest.param(to_the_end, {Kind.AT_THE_END}, id="whole"),
        pytest.param(by_compressor, {Kind.AT_THE_END}, id="compressor"),
        pytest.param(in_blocks(2000), {Kind.BURSTS, Kind.RHYTHM}, id="2000 bytes"),
        pytest.param(in_blocks(4096), {Kind.BLOCKS}, id="4 KiB"),
        pytest.param(in_blocks(4096, frames=6), {Kind.BLOCKS}, id="4 KiB with frames"),
        pytest.param(by_timer(0.5), {Kind.RHYTHM, Kind.BURSTS}, id="timer"),
        pytest.param(by_nagle(0.2), {Kind.RHYTHM}, id="Nagle"),
    ],
)  # fmt: skip
def test_what_is_held_keeps_its_kind(
    sender: Callable[[random.Random], FreeStream], hop: Hop, kinds: set[Kind]
) -> None:
    """By seeds, all but three: a buffer may be full between two events by chance."""
    found = []
    for seed in range(20):
        stream = behind(hop, sender(random.Random(seed)))
        result = examined(stream, Network(0.005, seed=seed))
        assert result.verdict.held
        if len(stream.writes) > 2 or Kind.AT_THE_END in kinds:
            found.append(result.verdict.kind)
    assert sum(kind not in kinds for kind in found) <= 3, found
    assert len(found) > 10


def test_a_beginning_that_is_held_keeps_its_kind() -> None:
    for seed in range(20):
        stream = behind(until_full(1000), steady(random.Random(seed)))
        assert examined(stream, Network()).verdict.kind is Kind.FIRST_LATE, seed


# -- groups -------------------------------------------------------------------------


def groups(first: float, size: int = 4, every: float = 0.5) -> ProbeRecording:
    """Groups of whole events, the first of them after so many seconds."""
    return recorded(
        *((first + n * every, b"".join(event(n * size + m) for m in range(size)))
          for n in range(8))
    )  # fmt: skip


def test_a_group_that_came_sooner_than_it_can_have_been_collected_is_the_senders() -> (
    None
):
    result = judge_one([groups(0.0)])
    assert (result.verdict.kind, result.status) == (Kind.GROUPS, 2)
    assert result.verdict.line == (
        "The back end sends in groups: about 4 events every 0.50 s."
    )
    assert "sooner than a hop could have collected it" in result.verdict.evidence[0]
    late = judge_one([groups(0.5)])
    assert (late.verdict.kind, late.status) == (Kind.RHYTHM, 1)


def test_groups_that_are_cut_inside_an_event_are_no_senders() -> None:
    recording = groups(0.0)
    content, size = recording.content, len(recording.content) // 8 + 3
    arrivals = tuple(
        replace(each, data=content[n * size : (n + 1) * size], size=size)
        for n, each in enumerate(recording.arrivals)
    )
    assert judge_one([replace(recording, arrivals=arrivals)]).verdict.held


def test_the_same_types_in_each_group_are_a_senders_clock() -> None:
    """Behind a past, so that the first group says nothing."""
    stream = snapshot_and_ticks(random.Random(5))
    assert stream.writes[0][1].count(b"\n\n") > 20
    recording = received(stream, Network())
    verdict = judge_one([recording]).verdict
    assert verdict.kind is Kind.GROUPS
    assert verdict.evidence[0].startswith("each group has the same types of event")


def test_groups_that_another_request_does_not_have_are_held() -> None:
    """A past at once, then one by one: but not with compression."""
    words = [event(n) for n in range(32)]
    past, rest = (0.0, b"".join(words[:4])), enumerate(words[4:], start=1)
    free = recorded(past, *((n * 0.125, word) for n, word in rest))
    verdict = judge_one([groups(0.0), replace(free, label="without")]).verdict
    assert verdict.kind is Kind.BURSTS
    assert verdict.held


def test_one_request_that_shows_the_senders_groups_speaks_for_all() -> None:
    """A pause of the machine has hidden the beginning in the first."""
    late = groups(0.5)
    other = replace(groups(0.0), label="without compression")
    assert judge_one([late, other]).verdict.kind is Kind.GROUPS


def test_a_beginning_that_is_late_once_is_a_pause_of_the_machine() -> None:
    stream = decelerating(random.Random(1005))
    calm = received(stream, Network())
    assert judge_one([calm]).verdict.kind is Kind.STREAMS


@pytest.mark.parametrize(
    ("first", "kind", "status"),
    [
        pytest.param(0.0, Kind.STREAMS, 0, id="certainly its own"),
        pytest.param(0.5, Kind.GROUPS, 2, id="its own, if it is the back end"),
    ],
)
def test_equal_groups_at_all_hops_acquit_the_hops(
    first: float, kind: Kind, status: int
) -> None:
    chain = [
        replace(groups(first), url=f"http://{name}/") for name in ("front", "mid", "b")
    ]
    result = judge_hops(chain)
    assert (result.verdict.kind, result.status) == (kind, status)
    assert "sends in groups" in " ".join(result.verdict.line.split())


def test_groups_of_one_hop_alone_are_its_hold() -> None:
    words = [event(n) for n in range(32)]
    free = recorded(*((n * 0.125, word) for n, word in enumerate(words)))
    front = replace(groups(0.5), url="http://front/")
    result = judge_hops([front, replace(free, url="http://back/")])
    assert result.verdict.held
    assert result.holder.recording.url == "http://front/"


def test_each_rhythm_is_among_the_streams() -> None:
    assert {free_stream(seed).rhythm for seed in range(len(RHYTHMS))} == {
        each(random.Random(1)).rhythm for each in RHYTHMS
    }
    assert bursts(random.Random(1)).writes[0][0] == 0.0
