"""A hop beside the one behind it: what is its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_hops
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import (
    all_at,
    at,
    chain,
    event,
    every,
    own,
    recorded,
    with_id,
)

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
