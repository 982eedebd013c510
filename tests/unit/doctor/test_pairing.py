"""Which event at one hop is which at the hop behind it."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate

import pytest

from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.pairing import By, pair_events
from proxy.tools.doctor.record import ProbeRecording
from tests.unit.doctor.recordings import (
    at,
    chain,
    every,
    long_ones,
    own,
    recorded,
    sent,
    with_id,
)

GZIP = (("Content-Type", "text/event-stream"), ("Content-Encoding", "br"))
WORDS = (("Content-Type", "application/x-words"),)


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
            By.POSITION,
            id="no events, and other bytes in as long pieces",
        ),
        pytest.param(
            recorded(*((t, b"word ") for t in every(0.2)), fields=WORDS),
            recorded(*((t, b"other ") for t in every(0.2)), fields=WORDS),
            By.FIRST,
            id="no events, and other pieces",
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


def test_the_same_words_in_another_order_are_another_answer() -> None:
    """A model of few words, asked twice: its nth `a` here is not its nth `a` there."""
    for seed in range(0, 80, 2):
        found = []
        for each in (seed, seed + 1):
            chooser = random.Random(each)
            words = [f"data: {chooser.choice('abcdefghij')}\n\n" for _ in range(70)]
            gaps = (chooser.uniform(0.02, 0.08) for _ in range(70))
            found.append(
                recorded(*zip(accumulate(gaps), map(str.encode, words), strict=True))
            )
        pairing = pair_events(shape_of(found[0]), shape_of(found[1]))
        assert pairing.by is By.POSITION, seed
        assert not chain(*found).verdict.held, seed


def test_a_text_that_is_lost_among_its_equals_moves_no_other() -> None:
    words = [f"data: {word}\n\n".encode() for word in "abacabadabacabae" * 4]
    kept = [number for number in range(64) if number not in (8, 33)]
    here = recorded(*((number * 0.2, words[number]) for number in kept))
    there = at(every(0.2, 64), lambda number: words[number])
    pairing = pair_events(shape_of(here), shape_of(there))
    assert pairing.by is By.TEXTS
    assert all(pair.here == pair.there for pair in pairing.pairs)
    assert len(pairing.pairs) == 62


def test_bytes_are_paired_with_the_read_that_completes_them() -> None:
    here = recorded((0.5, b"one two "), (0.9, b"three "), fields=WORDS)
    there = recorded(
        (0.1, b"one "), (0.2, b"two "), (0.3, b"thr"), (0.4, b"ee "), fields=WORDS
    )
    pairs = pair_events(shape_of(here), shape_of(there)).pairs
    assert [(pair.here, pair.there) for pair in pairs] == [
        (0.5, 0.1), (0.5, 0.2), (0.9, 0.3), (0.9, 0.4)
    ]  # fmt: skip
