"""Requests to the embedded endpoint, as values: what is read, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from upstream_demo.chat_completion import MODEL, Completion, Question, read_question
from upstream_demo.error_response import Refusal

USER = {"role": "user", "content": "hello"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [USER], **changes}


def test_least_request_is_read() -> None:
    assert read_question(body()) == Question(
        prompt="hello",
        prompt_tokens=1,
        stream=False,
        include_usage=False,
        max_tokens=None,
    )


def test_prompt_is_the_last_message_of_the_user() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": [{"type": "text", "text": "se"}, {"text": "cond"}]},
        {"role": "assistant", "content": "so"},
    ]
    question = read_question(body(messages=messages))
    assert question.prompt == "second"
    assert question.prompt_tokens == 6


def test_conversation_without_a_user_has_an_empty_prompt() -> None:
    messages = [{"role": "system", "content": "x"}]
    assert read_question(body(messages=messages)).prompt == ""


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_limit_cuts_the_answer_and_says_so(name: str) -> None:
    completion = Completion("id", 1, read_question(body(**{name: 3})))
    assert len(completion.tokens) == 3
    assert completion.finish_reason == "length"
    assert completion.usage() == {
        "prompt_tokens": 1,
        "completion_tokens": 3,
        "total_tokens": 4,
    }


def test_limit_that_is_not_reached_changes_nothing() -> None:
    completion = Completion("id", 1, read_question(body(max_tokens=1000)))
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("request_body", "status", "param"),
    [
        pytest.param([], 400, None, id="no object"),
        pytest.param({"messages": [USER]}, 400, "model", id="no model"),
        pytest.param(body(model=1), 400, "model", id="model is no text"),
        pytest.param(body(model="gpt-9"), 404, "model", id="unknown model"),
        pytest.param({"model": MODEL}, 400, "messages", id="no messages"),
        pytest.param(body(messages=[]), 400, "messages", id="empty messages"),
        pytest.param(body(messages="hi"), 400, "messages", id="messages is a text"),
        pytest.param(
            body(messages=[USER, "hi"]), 400, "messages[1].role", id="message is text"
        ),
        pytest.param(
            body(messages=[{"content": "hi"}]), 400, "messages[0].role", id="no role"
        ),
        pytest.param(
            body(messages=[{"role": "user"}]),
            400,
            "messages[0].content",
            id="no content",
        ),
        pytest.param(body(stream="yes"), 400, "stream", id="stream is a text"),
        pytest.param(
            body(stream_options={"include_usage": True}),
            400,
            "stream_options",
            id="stream_options without stream",
        ),
        pytest.param(
            body(stream=True, stream_options=1),
            400,
            "stream_options",
            id="stream_options is a number",
        ),
        pytest.param(body(max_tokens=0), 400, "max_tokens", id="max_tokens is 0"),
        pytest.param(body(max_tokens=True), 400, "max_tokens", id="max_tokens is true"),
    ],
)
def test_bad_request_is_refused_by_name(
    request_body: object, status: int, param: str | None
) -> None:
    with pytest.raises(Refusal) as caught:
        read_question(request_body)
    assert caught.value.status == status
    assert caught.value.param == param
