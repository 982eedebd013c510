"""Faults as they are written, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.config.fault_options import (
    HEEDED,
    KINDS,
    Fault,
    check_faults,
    parse_fault,
)


def fault(kind: Any, **values: Any) -> Fault:
    return Fault(kind=kind, **values)


# The least that each kind needs.
LEAST = {
    "duplicate": fault("duplicate", after=1),
    "late_head": fault("late_head", seconds=1.0),
    "wrong_length": fault("wrong_length", size=1),
}


def test_each_kind_says_which_keys_it_heeds() -> None:
    assert set(HEEDED) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_accepted_alone(kind: str) -> None:
    each = LEAST.get(kind, fault(kind))
    check_faults([each])
    assert kind in str(each)


PARSED = [
    pytest.param("kind=fin", fault("fin"), id="kind alone"),
    pytest.param(
        "kind=fin,after=3,inside=true", fault("fin", after=3, inside=True), id="inside"
    ),
    pytest.param(
        " kind = stall , seconds = 2.5 ", fault("stall", seconds=2.5), id="spaces"
    ),
    pytest.param(
        "times=2,kind=status,status=503,probability=0.5",
        fault("status", status=503, times=2, probability=0.5),
        id="any order",
    ),
]


@pytest.mark.parametrize(("text", "expected"), PARSED)
def test_a_fault_is_parsed(text: str, expected: Fault) -> None:
    assert parse_fault(text) == expected


KIND_NAMES = ", ".join(KINDS[:-1]) + f" or {KINDS[-1]}"
REFUSED = [
    ("", 'expected key=value, got "": write kind=fin,after=3'),
    ("reset,after=3", 'expected key=value, got "reset": write kind=reset,after=3'),
    ("kind=fin,", 'expected key=value, got "": write kind=fin,after=3'),
    ("after=3", f"kind: missing: expected {KIND_NAMES}"),
    ("kind=fin,afer=3", "afer: unknown key: did you mean after?"),
    ("kind=fin,after=1,after=2", "after: this key is set twice"),
    ("kind=fin,after=x", 'after: expected an integer from 0 to 1000000000, got "x"'),
    ("kind=fin,after=-1", 'after: expected an integer from 0 to 1000000000, got "-1"'),
    ("kind=fin,inside=maybe", 'inside: expected true or false, got "maybe"'),
    ("kind=fin,inside=true", "inside: needs after = 1 or more: the event that is cut"),
    ("kind=duplicate", "after: needs 1 or more: the event that is sent twice"),
    (
        "kind=late_head",
        "seconds: needs a number greater than 0: by how much the head is late",
    ),
    ("kind=wrong_length", "size: needs 1 or more: what Content-Length says"),
    (
        "kind=drip,size=2000000",
        'size: expected 1048576 or less with kind = "drip"',
    ),
    (
        "kind=coalesce,size=2000000",
        'size: expected 16 to 1048576 with kind = "coalesce"',
    ),
    ("kind=coalesce,size=15", 'size: expected 16 to 1048576 with kind = "coalesce"'),
    ("kind=status,status=301", "status: expected 204, or a status from 400 to 599"),
    ("kind=status,status=99", 'status: expected an integer from 200 to 599, got "99"'),
    (
        "kind=stall,seconds=inf",
        "seconds: expected a finite number of 0 or more, got the number inf",
    ),
    (
        "kind=stall,seconds=nan",
        'seconds: expected a finite number of 0 or more, got "nan"',
    ),
    ("kind=fin,times=-1", 'times: expected an integer of 0 or more, got "-1"'),
    (
        "kind=fin,probability=0",
        'probability: expected a number greater than 0, up to 1, got "0"',
    ),
    (
        "kind=fin,probability=2",
        'probability: expected a number greater than 0, up to 1, got "2"',
    ),
    (
        "kind=fin,seconds=2",
        'seconds: has no effect with kind = "fin", only with stall, drip, split or '
        "late_head",
    ),
    (
        "kind=status,after=2",
        'after: has no effect with kind = "status", only with fin, reset, clean_end, '
        "stall, drip, split, coalesce, duplicate or error_event",
    ),
    (
        "kind=error_event,after=2,inside=true",
        'inside: has no effect with kind = "error_event", only with fin, reset, '
        "clean_end or stall",
    ),
    (
        "kind=compress,size=2",
        'size: has no effect with kind = "compress", only with drip, coalesce or '
        "wrong_length",
    ),
    (
        "kind=fin,status=503",
        'status: has no effect with kind = "fin", only with status',
    ),
]


@pytest.mark.parametrize(
    ("text", "message"), REFUSED, ids=[text for text, _ in REFUSED]
)
def test_a_wrong_fault_is_refused_on_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the message is compared
        parse_fault(text)
    assert str(caught.value) == message


def test_an_unknown_kind_names_all_of_them() -> None:
    with pytest.raises(ValueError, match=r'kind: expected "clean_end", .* got "cut"'):
        parse_fault("kind=cut")


FIN3 = fault("fin", after=3)
TOGETHER = [
    ([FIN3, fault("reset", after=5)], "never reached: fault 1 (fin after 3 events)"),
    ([FIN3, FIN3], "never reached: fault 1 (fin after 3 events)"),
    ([FIN3, fault("drip", after=3)], "never reached: fault 1 (fin after 3 events)"),
    (
        [FIN3, fault("stall", after=4, seconds=1.0)],
        "never reached: fault 1 (fin after 3 events)",
    ),
    (
        [fault("fin", after=3, inside=True), FIN3],
        "never reached: fault 1 (fin inside event 3)",
    ),
    (
        [fault("fin"), fault("no_terminal")],
        "never reached: fault 1 (fin before the first event)",
    ),
    (
        [fault("status"), FIN3],
        "never applies: fault 1 (status 500) is sent in place of each response",
    ),
    (
        [fault("drip"), fault("drip", size=3)],
        "never applies: fault 1 (drip of 1 byte at a time) always does",
    ),
    (
        [fault("drip"), fault("split")],
        "cannot be combined with fault 1 (drip of 1 byte at a time): a drip cuts "
        "everywhere already",
    ),
    (
        [fault("split"), fault("compress", times=1)],
        "cannot be combined with fault 1 (split): compressed bytes have neither "
        "characters nor lines",
    ),
    (
        [fault("compress"), fault("coalesce")],
        "cannot be combined with fault 1 (compress): what is compressed is held "
        "already",
    ),
    (
        [fault("coalesce"), fault("drip")],
        "cannot be combined with fault 1 (coalesce to 65536 bytes): one puts pieces "
        "together, the other one cuts them up",
    ),
]


@pytest.mark.parametrize(("faults", "message"), TOGETHER, ids=[m for _, m in TOGETHER])
def test_faults_that_make_no_sense_together_are_refused(
    faults: Sequence[Fault], message: str
) -> None:
    with pytest.raises(ValueError, match=r"^fault 2: ") as caught:
        check_faults(faults)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_fault_that_is_never_reached_is_told_of_wherever_it_stands() -> None:
    with pytest.raises(ValueError, match=r"^fault 1: never reached: fault 2 "):
        check_faults([fault("reset", after=5), FIN3])


FINE = [
    pytest.param([FIN3, fault("duplicate", after=3)], id="twice, then the end"),
    pytest.param(
        [FIN3, fault("stall", after=3, seconds=1.0)], id="a wait, then the end"
    ),
    pytest.param([fault("fin", after=3, times=1), fault("reset", after=5)], id="once"),
    pytest.param([fault("fin", after=3, probability=0.5), FIN3], id="one or the other"),
    pytest.param([fault("status", times=2), FIN3], id="first a status"),
    pytest.param(
        [fault("status"), fault("late_head", seconds=1.0)], id="a late status"
    ),
    pytest.param([fault("wrong_length", size=9), FIN3], id="too long, then the end"),
    pytest.param([fault("compress"), fault("drip")], id="compressed bytes one by one"),
    pytest.param([FIN3, fault("no_terminal")], id="whatever comes first"),
    pytest.param(
        [fault("fin", after=3, inside=True), fault("drip", after=2)], id="near"
    ),
]


@pytest.mark.parametrize("faults", FINE)
def test_faults_that_make_sense_together_are_accepted(faults: Sequence[Fault]) -> None:
    check_faults(faults)


def test_what_was_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match=r"fault: ") as caught:
        check_faults([fault("cut", after="3", seconds=float("nan"))])
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["kind", "after", "seconds"]


WORDS = [
    (fault("fin"), "fin before the first event"),
    (fault("reset", after=1), "reset after 1 event"),
    (fault("clean_end", after=3, inside=True), "clean_end inside event 3"),
    (fault("stall", after=2), "stall after 2 events"),
    (fault("stall", after=2, seconds=1.5), "stall for 1.5 s after 2 events"),
    (fault("drip"), "drip of 1 byte at a time"),
    (
        fault("drip", size=3, seconds=0.1, after=2),
        "drip of 3 bytes every 0.1 s after 2 events",
    ),
    (fault("coalesce", size=90), "coalesce to 90 bytes"),
    (fault("duplicate", after=2), "duplicate of event 2"),
    (fault("late_head", seconds=2.0), "late_head by 2 s"),
    (fault("wrong_length", size=1), "wrong_length of 1 byte"),
    (fault("status", status=503, times=1), "status 503, for 1 request"),
    (
        fault("error_event", after=1, probability=0.25),
        "error_event after 1 event, for 25 % of requests",
    ),
    (fault("compress"), "compress"),
    (fault("no_terminal"), "no_terminal"),
]


@pytest.mark.parametrize(("each", "words"), WORDS, ids=[words for _, words in WORDS])
def test_a_fault_is_told_of_in_words(each: Fault, words: str) -> None:
    assert str(each) == words
