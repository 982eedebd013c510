"""The embedded endpoint's answers, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upstream_demo.answers import CHINESE, answer_to, split_tokens


@pytest.mark.parametrize("prompt", ["你是谁?", "你是谁\uff1f", " 你是谁 "])
def test_who_are_you_is_answered_in_chinese(prompt: str) -> None:
    assert answer_to(prompt).startswith("我是 Unbuffered 自带的演示模型")


@pytest.mark.parametrize("prompt", ["Who are you?", "who are you"])
def test_who_are_you_is_answered_in_english(prompt: str) -> None:
    assert answer_to(prompt).startswith("I am the demo model")


@pytest.mark.parametrize(
    "prompt", ["Tell me about proxies", "今天天气怎么样", "Was heißt 你好?"]
)
def test_other_answers_refer_to_the_prompt_in_its_language(prompt: str) -> None:
    answer = answer_to(prompt)
    assert prompt in answer
    assert bool(CHINESE.search(answer.replace(prompt, ""))) == bool(
        CHINESE.search(prompt)
    )


def test_long_prompt_is_repeated_in_part() -> None:
    answer = answer_to("word " * 1000)
    assert "word word" in answer
    assert len(answer) < 400
    assert "5000 characters" in answer


@pytest.mark.parametrize("prompt", ["你是谁?", "Who are you?", "hello", "你好"])
def test_an_answer_has_a_few_dozen_tokens(prompt: str) -> None:
    assert 24 <= len(split_tokens(answer_to(prompt))) <= 99


def test_the_same_prompt_has_the_same_answer() -> None:
    assert answer_to("hello") == answer_to("hello")
    assert len({answer_to(f"hello {n}")[-40:] for n in range(20)}) == 3


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@given(st.text())
def test_every_prompt_has_an_answer(prompt: str) -> None:
    assert answer_to(prompt)


def test_tokens_are_words_and_short_runs_of_characters() -> None:
    assert split_tokens("Hello big world, 你好吗\n") == [
        "Hello",
        " big",
        " world",
        ",",
        " ",
        "你好",
        "吗",
        "\n",
    ]
