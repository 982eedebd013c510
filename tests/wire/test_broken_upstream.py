"""`broken` of the pytest fixtures: each of its arguments, and its edges."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from proxy.config.fault_options import HEEDED, KINDS, Fault
from proxy.library.broken_origin import BrokenOrigin
from proxy.library.fixture_factories import MOST_EVENTS, StartBroken, event_texts
from proxy.library.loop_thread import LoopThread


@pytest.fixture
def broken() -> Iterator[StartBroken]:
    with ExitStack() as stack:
        thread = LoopThread("unbuffered")
        stack.callback(thread.stop)
        yield StartBroken(thread, stack)


def read(url: str, last_event_id: str) -> tuple[int, bytes, bool]:
    """Status, body, and whether it was whole."""
    request = urllib.request.Request(url, headers={"Last-Event-ID": last_event_id})
    with urllib.request.urlopen(request) as response:
        try:
            return response.status, response.read(), True
        except http.client.IncompleteRead as error:
            return response.status, error.partial, False


def until_the_end(url: str) -> list[tuple[int, bool]]:
    """What a client sees that comes back with the last id: how many events it has."""
    seen, last, status = [], 0, 200
    while status != 204:
        status, body, whole = read(url, str(last or ""))
        last += body[: body.rfind(b"\n\n") + 2].count(b"id: ")
        seen.append((last, whole))
    return seen


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, [(3, False), (5, True), (5, True)]),
        ({"times": 2}, [(3, False), (5, True), (5, True)]),
        ({"times": 0}, [(3, False), (5, True), (5, True)]),
        ({"times": 0, "events": 7}, [(3, False), (6, False), (7, True), (7, True)]),
        (
            {"times": 2, "after": 2, "events": 7},
            [(2, False), (4, False), (7, True), (7, True)],
        ),
        ({"times": 1_000_000, "after": 5}, [(5, False), (5, True)]),
        ({"after": 1, "times": 0, "events": 2}, [(1, False), (2, False), (2, True)]),
        ({"after": 1, "inside": True, "times": 2, "events": 1}, [(0, False)] * 2),
    ],
    ids=repr,
)
def test_a_client_that_comes_back_gets_each_event_once(
    broken: StartBroken, given: dict[str, Any], seen: list[tuple[int, bool]]
) -> None:
    """`after` counts the events of a response: a shorter rest is whole."""
    found = until_the_end(broken(**{"after": 3, **given}).url)
    assert found[: len(seen)] == seen
    assert found[-1][1]


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"times": each}, "times: expected an integer of 0") for each in (-1, 1.5, "x")),
    *(
        ({"after": each}, "after: expected an integer from 0")
        for each in (-1, "3", 1.0)
    ),
    ({"after": 10**10}, "after: expected an integer from 0 to 1000000000"),
    ({"after": 6}, "fin after 6 events changes nothing: the stream has 5 events"),
    ({"after": 0, "inside": True}, "inside: needs after = 1 or more"),
    ({"inside": 1}, "inside: expected true or false"),
    ({"kind": "fine"}, "kind: expected"),
    ({"kind": "stall", "seconds": -1}, "seconds: expected a finite number of 0"),
    ({"kind": "stall", "seconds": float("inf")}, "seconds: expected a finite number"),
    ({"kind": "stall", "seconds": float("nan")}, "seconds: expected a finite number"),
    ({"kind": "drip", "size": -1}, "size: expected an integer of 0 or more"),
    ({"kind": "drip", "size": 2**30}, "size: expected 1048576 or less"),
    ({"kind": "wrong_length", "size": 0}, "size: needs 1 or more"),
    ({"kind": "status", "status": 0}, "status: expected an integer from 200 to 599"),
    ({"kind": "status", "status": 200}, "status: expected 204, or a status from 400"),
    ({"kind": "late_head"}, "seconds: needs a number greater than 0"),
    ({"kind": "duplicate", "after": 0}, "after: needs 1 or more"),
    ({"kind": "late_head", "seconds": 1, "after": 3}, "after: has no effect with"),
    *(
        ({"events": each}, f"events: expected a number from 1 to {MOST_EVENTS}, or a")
        for each in (0, -1, True, MOST_EVENTS + 1, 1.5, None, "one", [], [1], b"one")
    ),
]


@pytest.mark.parametrize(("given", "told"), WRONG, ids=repr)
def test_what_would_test_nothing_is_refused_by_name(
    broken: StartBroken, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        broken(**given)


def test_each_argument_is_tried_at_its_edge() -> None:
    tried = {key for given, _ in WRONG for key in given}
    assert tried >= {
        "kind",
        "events",
        *(key for keys in HEEDED.values() for key in keys),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_breaks_something_or_says_why_not(
    broken: StartBroken, kind: Any
) -> None:
    needs: dict[str, dict[str, Any]] = {
        "late_head": {"seconds": 0.001},
        "wrong_length": {"size": 7},
    }
    given = needs.get(kind, {})
    if kind == "no_terminal":  # of a stream of no family
        with pytest.raises(
            ValueError, match="changes nothing: the stream has 5 events"
        ):
            broken(kind, **given)
    else:
        broken(kind, **given)


@pytest.mark.parametrize(
    ("last_event_id", "passed"),
    [
        (b"", 0),
        (b"0", 0),
        (b"1", 1),
        (b"0003", 3),
        (b"3", 3),
        (b"4", 3),
        (b"9" * 9, 3),
        (b"9" * 60_000, 3),  # int() of so many digits raises
        (b"0" * 60_000, 0),
        (b"-1", 0),
        (b"1.5", 0),
        (b"x", 0),
        ("٣".encode(), 0),  # a digit, elsewhere
    ],
    ids=repr,
)
def test_an_id_says_how_many_events_a_client_has(
    last_event_id: bytes, passed: int
) -> None:
    origin = BrokenOrigin(["a", "b", "c"], [Fault(kind="fin", after=1)])
    assert origin.passed(last_event_id) == passed


def test_of_a_long_stream_each_event_is_made_once() -> None:
    """What is left behind each of them is made when it is asked for."""
    texts = event_texts(MOST_EVENTS, "fin")
    origin = BrokenOrigin(texts, [Fault(kind="fin", after=1)])
    assert len(origin.plans) == len(origin.index.all) == 1
