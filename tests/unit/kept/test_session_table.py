from __future__ import annotations

from proxy.kept.session_table import DIGEST_BYTES, SessionTable, session_key


class Watcher:
    def __init__(self) -> None:
        self.told: list[object] = []

    def learned(self, session: bytes, target: bytes) -> None:
        self.told.append((session, target))

    def forgotten(self, session: bytes) -> None:
        self.told.append(session)


def test_only_news_are_told() -> None:
    table, watcher = SessionTable(), Watcher()
    table.watcher = watcher
    for _ in range(2):
        table.learn(b"one", b"a")
    table.learn(b"one", b"b")
    for _ in range(2):
        table.forget(b"one")
    assert watcher.told == [(b"one", b"a"), (b"one", b"b"), b"one"]


def test_what_others_have_learned_is_not_told_on() -> None:
    table, watcher = SessionTable(), Watcher()
    table.watcher = watcher
    table.note(b"one", b"a")
    table.drop(b"one")
    assert watcher.told == []


def test_the_session_that_was_not_used_for_longest_makes_room() -> None:
    table = SessionTable(3)
    for each in (b"one", b"two", b"three"):
        table.learn(each, b"a")
    table.find(b"one")
    table.learn(b"four", b"a")
    assert [each for each, _ in table] == [b"three", b"one", b"four"]
    table.learn(b"three", b"a")
    table.note(b"five", b"a")
    assert [each for each, _ in table] == [b"four", b"three", b"five"]


def test_a_key_has_one_length_and_is_of_one_field() -> None:
    keys = {
        session_key(source, value)
        for source, value in (
            (b"header:a", b"b" * 100_000),
            (b"header:a", b""),
            (b"header:ab", b""),
            (b"header:a", b"b"),
            (b"cookie:a", b"b"),
        )
    }
    assert len(keys) == 5
    assert {len(each) for each in keys} == {DIGEST_BYTES}
