from __future__ import annotations

import datetime
import re

import pytest

from proxy.config.fault_text import (
    choice,
    described,
    key_name,
    quoted,
    snake_case,
)
from proxy.config.foreign_keys import DEV_SERVER_KEYS, PROXY_KEYS, TIMES, in_seconds
from proxy.config.reader import KEYS_ELSEWHERE


@pytest.mark.parametrize(
    ("value", "shown", "as_secret"),
    [
        pytest.param("a", 'the string "a"', "a string", id="string"),
        pytest.param(True, "true", "true or false", id="boolean"),
        pytest.param(7, "the integer 7", "an integer", id="integer"),
        pytest.param(0.5, "the number 0.5", "a number", id="number"),
        pytest.param(["a"], "a list", "a list", id="list"),
        pytest.param({"a": 1}, "a table", "a table", id="table"),
        pytest.param(
            datetime.date(2026, 1, 1), "a date or time", "a date or time", id="date"
        ),
    ],
)
def test_a_value_is_described_and_a_secret_is_not_told(
    value: object, shown: str, as_secret: str
) -> None:
    assert described(value) == shown
    assert described(value, secret=True) == as_secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param('a"b\\', '"a\\"b\\\\"', id="quote and backslash"),
        pytest.param("a\nb", '"a\\nb"', id="line break"),
        pytest.param("\x7f\x9b\u2028", '"\\u007f\\u009b\\u2028"', id="control"),
        pytest.param("\u202e", '"\\u202e"', id="change of direction"),
        pytest.param("\U000e0001", '"\\U000e0001"', id="beyond the first plane"),
        pytest.param("你好", '"你好"', id="letters of any script"),
    ],
)
def test_a_text_is_quoted_so_that_it_stays_one_line(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("key", "snake"),
    [
        ("changeOrigin", "change_origin"),
        ("change-origin", "change_origin"),
        ("Target", "target"),
        ("change_origin", "change_origin"),
    ],
)
def test_keys_of_other_spellings_are_recognised(key: str, snake: str) -> None:
    assert snake_case(key) == snake


def test_a_choice_reads_as_a_sentence() -> None:
    assert [choice(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a",
        "a or b",
        "a, b or c",
    ]


def test_a_key_is_bare_where_toml_allows_it() -> None:
    assert [key_name(name) for name in ("a-b_1", "a.b", "")] == ["a-b_1", '"a.b"', '""']


@pytest.mark.parametrize("keys", [DEV_SERVER_KEYS, PROXY_KEYS, TIMES])
def test_advice_on_foreign_keys_hides_no_key_of_ours(keys: dict[str, object]) -> None:
    assert keys.keys() & KEYS_ELSEWHERE.keys() == set()


def test_advice_speaks_of_keys_that_exist() -> None:
    for keys, _ in TIMES.values():
        assert set(keys) <= KEYS_ELSEWHERE.keys()
    for text in (*DEV_SERVER_KEYS.values(), *PROXY_KEYS.values()):
        for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text):
            assert name in KEYS_ELSEWHERE, text


@pytest.mark.parametrize(
    ("raw", "per_second", "seconds"),
    [
        pytest.param(30000, 1000, 30.0, id="milliseconds of a dev server"),
        pytest.param(0, 1000, 0.0, id="none"),
        pytest.param("60s", 1, 60.0, id="seconds"),
        pytest.param("5m", 1, 300.0, id="minutes"),
        pytest.param("250ms", 1, 0.25, id="milliseconds"),
        pytest.param("75", 1, 75.0, id="without a unit"),
        pytest.param("a while", 1, None, id="no duration"),
        pytest.param(True, 1, None, id="a boolean"),
    ],
)
def test_durations_of_other_proxies_are_put_into_seconds(
    raw: object, per_second: int, seconds: float | None
) -> None:
    assert in_seconds(raw, per_second) == seconds
