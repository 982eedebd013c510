"""Where the streams of a key are: the newest counts, whoever tells of it when."""

from __future__ import annotations

import itertools

from proxy.kept.name_directory import NameDirectory, StreamPlace
from proxy.kept.registry import KEY, Name

NAME, WHO = Name(KEY, "/", b"k"), b"who"
PLACES = (
    StreamPlace(1.0, 2, b"2-a"),
    StreamPlace(2.0, 0, b"0-b"),
    StreamPlace(3.0, 1, b"1-c"),
)


def directory(*places: StreamPlace) -> NameDirectory:
    """A directory that has been told of places, in this order."""
    made = NameDirectory()
    for each in places:
        made.add(NAME, WHO, each)
    return made


def test_the_newest_is_found_in_whichever_order_they_are_told_of() -> None:
    for order in itertools.permutations(PLACES):
        assert directory(*order).find(NAME, WHO) == PLACES[-1]


def test_what_is_told_twice_is_there_once() -> None:
    made = directory(*PLACES, *PLACES)
    assert made.find_all(NAME, WHO) == list(PLACES)
    made.remove(NAME, WHO, b"1-c")
    assert made.find(NAME, WHO) == PLACES[1]


def test_a_stream_supersedes_those_before_it_and_none_after_it() -> None:
    made = directory(*PLACES)
    assert made.supersede(NAME, WHO, b"0-b") == [PLACES[0]]
    assert made.find_all(NAME, WHO) == [PLACES[1], PLACES[2]]
    assert made.supersede(NAME, WHO, b"0-b") == []
    # One that is not known any more supersedes none.
    assert made.supersede(NAME, WHO, b"2-a") == []
    assert made.find_all(NAME, WHO) == [PLACES[1], PLACES[2]]


def test_what_a_worker_had_is_lost_with_it() -> None:
    made = directory(*PLACES)
    other = Name(KEY, "/", b"other")
    made.add(other, WHO, PLACES[2])
    made.lose(1)
    assert made.find_all(NAME, WHO) == [PLACES[0], PLACES[1]]
    assert not made.is_taken(other)
    made.lose(0)
    made.lose(2)
    assert not made.places


def test_another_client_has_streams_of_its_own() -> None:
    made = directory(PLACES[0])
    assert made.find(NAME, b"another") is None
    assert made.is_taken(NAME)
    made.add(NAME, b"another", PLACES[1])
    made.remove(NAME, WHO, b"2-a")
    assert made.find(NAME, b"another") == PLACES[1]
    made.remove(NAME, b"another", b"0-b")
    made.remove(NAME, b"another", b"0-b")
    assert not made.is_taken(NAME)
    assert not made.places
