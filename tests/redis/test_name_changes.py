"""Changes of names that wait for the server: in their order, and none is lost."""

from __future__ import annotations

import random

from proxy.kept.redis.name_changes import Change, Key, NameChanges
from proxy.kept.redis.name_scripts import HOLD, NAME, RENEW, SUPERSEDE, UNNAME
from proxy.kept.redis.scripts import Script

ONE, TWO = b"one", b"two"
KEY: Key = ("key", "/sse", b"chat 7", b"who")


def change(script: Script, id: bytes = ONE, key: Key = KEY, ms: int = 0) -> Change:
    return Change(script, id, key, ms)


def key_of(number: int) -> Key:
    return ("key", "/sse", b"%d" % number, b"who")


def test_what_says_the_same_again_takes_its_place() -> None:
    changes = NameChanges()
    for ms in range(1, 20_000):
        changes.add(change(NAME, ms=ms))
        changes.add(change(NAME, TWO, ms=ms))
    assert list(changes.take(9).values()) == [
        change(NAME, ms=19_999),
        change(NAME, TWO, ms=19_999),
    ]
    assert not changes


def test_what_says_something_else_comes_behind_it() -> None:
    """A name that is given, taken and given again is given in the end."""
    changes, told = NameChanges(), []
    for script, ms in ((NAME, 5), (SUPERSEDE, 0), (UNNAME, 0), (NAME, 7), (HOLD, 7)):
        told.append(change(script, ms=ms))
        changes.add(told[-1])
    changes.add(change(HOLD))  # with 0 ms it is taken
    assert list(changes.take(9).values()) == [*told, change(HOLD)]


def test_a_name_that_is_about_to_be_given_or_taken_is_not_renewed() -> None:
    changes = NameChanges()
    changes.add(change(UNNAME))
    changes.add(change(NAME, TWO, ms=5))
    changes.renew(change(RENEW, ms=9))
    changes.renew(change(RENEW, TWO, ms=9))
    assert len(changes) == 2
    changes.add(change(SUPERSEDE, TWO))
    changes.renew(change(RENEW, TWO, ms=9))  # the server may have lost it
    assert len(changes) == 4


def test_what_could_not_be_written_waits_before_all_others() -> None:
    changes = NameChanges()
    told = [change(NAME, key=key_of(n), ms=1) for n in range(10)]
    for each in told[:6]:
        changes.add(each)
    taken = changes.take(4)
    assert list(taken.values()) == told[:4]
    for each in told[6:]:
        changes.add(each)
    again = change(UNNAME, key=key_of(0))
    changes.add(again)
    changes.put_back(taken)
    assert list(changes.take(99).values()) == [*told, again]
    assert not changes.last


def test_what_is_written_ends_as_what_was_said() -> None:
    """By random changes, and calls that fail: of each name its last change counts."""
    chance = random.Random(7)
    changes = NameChanges()
    said: dict[tuple[bytes, Key], Change] = {}
    written: dict[tuple[bytes, Key], Change] = {}
    for step in range(5_000):
        if chance.random() < 0.6:
            pair = chance.choice((ONE, TWO)), key_of(chance.randrange(5))
            ms = chance.choice((0, step))
            said[pair] = change(NAME if ms else UNNAME, *pair, ms)
            changes.add(said[pair])
            continue
        taken = changes.take(chance.randint(1, 4))
        if chance.random() < 0.5:
            changes.put_back(taken)
        else:
            written |= {(each.id, each.key): each for each in taken.values()}
    written |= {(each.id, each.key): each for each in changes.take(10**6).values()}
    assert written == said
