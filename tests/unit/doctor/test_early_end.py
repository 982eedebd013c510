"""When enough is seen, and whether requests were in each other's way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.quantities import seconds
from proxy.tools.doctor.probe.early_end import (
    chain_is_told,
    enough,
    in_the_way,
    kept_back,
    shows_the_difference,
    streams,
)
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind, Verdict
from tests.unit.doctor.recordings import event, recorded


def flow(count: int, every: float = 0.25, each: int = 1) -> ProbeRecording:
    """So many arrivals, still under way."""
    return recorded(
        *((n * every, b"".join(event(n * each + m) for m in range(each)))
          for n in range(count)),
        ending="stopped",
    )  # fmt: skip


def silent(ended: float) -> ProbeRecording:
    return ProbeRecording("http://a/", connected=0.001, ending="no head", ended=ended)


@pytest.mark.parametrize(
    ("recording", "known"),
    [
        pytest.param(flow(41), True, id="long enough"),
        pytest.param(flow(39), False, id="too few"),
        pytest.param(flow(60, 0.1), False, id="too soon"),
        pytest.param(flow(41, each=2), False, id="two at a time"),
    ],
)
def test_a_stream_that_flows_for_long_needs_no_more(
    recording: ProbeRecording, known: bool
) -> None:
    assert enough(recording) is known


@pytest.mark.parametrize(
    ("recording", "known"),
    [
        pytest.param(flow(8), True, id="one by one"),
        pytest.param(flow(5, 0.5), False, id="too few"),
        pytest.param(flow(20, 0.05), False, id="too soon"),
        pytest.param(flow(8, each=3), False, id="in groups"),
    ],
)
def test_a_free_variant_is_told_early(recording: ProbeRecording, known: bool) -> None:
    assert streams(recording) is known
    assert kept_back(silent(9.0), recording) is known
    assert chain_is_told([silent(9.0), recording]) is known


def test_nothing_for_a_short_while_is_waited_for() -> None:
    assert not kept_back(silent(7.5), flow(30))
    assert not chain_is_told([silent(7.5), flow(30)])


def test_of_a_request_of_which_something_came_more_is_waited_for() -> None:
    assert not kept_back(replace(flow(1), ended=9.0), flow(30))


CODED = (("Content-Type", "text/event-stream"), ("Content-Encoding", "br"))
BROWSER = (("Accept-Encoding", "gzip, deflate, br, zstd"),)
IDENTITY = (("Accept-Encoding", "identity"),)
SUSPECTED = 1.0  # seconds; then the variants are asked for


def plain_until(now: float, times: list[float], late: float) -> ProbeRecording:
    """The events without compression, as far as they came, by the base's clock."""
    at = [time + late for time in times if SUSPECTED + time + late <= now]
    over = len(at) == len(times)
    recording = recorded(
        *((time, event(number)) for number, time in enumerate(at)),
        ended=at[-1] if over else now - SUSPECTED,
        ending="complete" if over else "stopped",
    )
    return replace(recording, request=IDENTITY, label="without compression")


@pytest.mark.parametrize("late", [-0.05, 0.0, 0.05, 0.3])
@pytest.mark.parametrize(
    ("count", "every"), [(6, 0.5), (5, 1.0), (7, 1.0), (12, 1.0), (24, 0.5)]
)
def test_a_stream_that_a_compressor_holds_to_its_end_is_certainly_held(
    count: int, every: float, late: float
) -> None:
    """However long it is, and whichever comes first: its end, or the early one.

    `late`: seconds of the requests beside it.
    """
    times = [n * every for n in range(1, count + 1)]
    end, told = times[-1], 0.0
    for now in (SUSPECTED + time + late for time in times):
        if now < end and kept_back(silent(now), plain_until(now, times, late)):
            told = now
            break
    assert bool(told) is (end > 8)
    if told:
        base, other = silent(told), silent(told - SUSPECTED)
        said = f"Held: nothing arrived within {seconds(told)}, while without compressi"
    else:
        whole = b"".join(map(event, range(count)))
        base = other = recorded((end, whole), fields=CODED, head=end)
        said = f"Held to the end: all {count} events arrived at once, after {end:.1f}"
    base = replace(base, request=BROWSER, product="webpack-dev-server")
    other = replace(other, request=BROWSER, label="with Accept: */*")
    plain = plain_until(told or SUSPECTED + end + late, times, late)
    result = judge_one([base, plain, other])
    assert result.verdict.line.startswith(said)
    assert result.verdict.line.endswith("only when the client accepts compression.")
    assert result.verdict.sure
    assert "compress: false," in result.cures[0].lines


def test_a_chain_that_streams_is_measured_to_its_end() -> None:
    """It may still be cut."""
    assert not chain_is_told([flow(60), flow(60)])


@pytest.mark.parametrize(
    ("kind", "known"),
    [(Kind.AT_THE_END, True), (Kind.BURSTS, True), (Kind.CUT, False),
     (Kind.HEAD_LATE, False), (Kind.TOO_FEW, False)],
)  # fmt: skip
def test_what_another_request_shows_depends_on_the_kind(
    kind: Kind, known: bool
) -> None:
    assert shows_the_difference(flow(1), Verdict(kind, ""), flow(8)) is known


def test_another_request_needs_twice_as_many_arrivals() -> None:
    held = Verdict(Kind.BURSTS, "")
    assert not shows_the_difference(flow(5), held, flow(9))
    assert shows_the_difference(flow(5), held, flow(11))


def answer(head: float, ended: float, status: int = 200) -> ProbeRecording:
    return replace(recorded((head, event(1)), head=head, ended=ended), status=status)


@pytest.mark.parametrize(
    ("one", "other", "disturbed"),
    [
        pytest.param(answer(0.01, 3.0), answer(0.01, 3.0), False, id="both at once"),
        pytest.param(answer(3.0, 3.0), answer(3.0, 3.0), False, id="both held"),
        pytest.param(answer(3.02, 3.02), answer(3.0, 3.0), False, id="held a bit more"),
        pytest.param(answer(3.01, 6.0), answer(0.01, 3.0), True, id="after the other"),
        pytest.param(answer(6.0, 6.0), answer(3.0, 3.0), True, id="held after it"),
        pytest.param(answer(0.1, 3.0), answer(0.05, 0.05), False, id="it was short"),
        pytest.param(answer(0.1, 0.1, 503), answer(0.1, 9.0), True, id="refused"),
        pytest.param(
            ProbeRecording("http://a/", fault="closed"),
            answer(0.1, 9.0),
            True,
            id="thrown out",
        ),
        pytest.param(silent(9.0), answer(0.1, 3.0), False, id="no head at all"),
    ],
)
def test_a_back_end_that_serves_one_at_a_time_shows(
    one: ProbeRecording, other: ProbeRecording, disturbed: bool
) -> None:
    assert in_the_way(one, 10.0, [(other, 10.0)]) is disturbed


def test_when_each_began_counts() -> None:
    assert in_the_way(answer(2.0, 5.0), 11.0, [(answer(0.0, 3.0), 10.0)])
    assert not in_the_way(answer(3.0, 3.0), 11.0, [(answer(3.0, 3.0), 10.0)])
    assert in_the_way(answer(5.0, 5.0), 11.0, [(answer(3.0, 3.0), 10.0)])
    assert not in_the_way(answer(2.0, 5.0), 11.0, [(answer(0.0, 3.0), 12.0)])
