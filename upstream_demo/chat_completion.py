"""A chat completion on paper: the question read, the answer in JSON objects.

Pure: no sockets. The objects are those of the OpenAI API, which the `openai`
client checks on arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from upstream_demo.answers import answer_to, split_tokens
from upstream_demo.error_response import Refusal

Json: TypeAlias = dict[str, Any]

MODEL = "unbuffered-demo"
MODEL_CREATED = 1767225600  # Unix seconds; the API demands one, nobody uses it

# In the last message of the user, each of these makes the endpoint fail.
FAIL = "[fail]"  # an error object in mid-stream
CUT = "[cut]"  # the connection breaks in mid-stream
BUSY = "[busy]"  # 429 in place of an answer


@dataclass(frozen=True)
class Question:
    """A request that can be answered."""

    prompt: str  # the last message of the user
    prompt_tokens: int  # of all messages
    stream: bool
    include_usage: bool
    max_tokens: int | None


@dataclass(frozen=True)
class Completion:
    """The answer to one question, under one id."""

    id: str
    created: int  # Unix seconds
    question: Question

    @property
    def all_tokens(self) -> list[str]:
        return split_tokens(answer_to(self.question.prompt))

    @property
    def tokens(self) -> list[str]:
        return self.all_tokens[: self.question.max_tokens]

    @property
    def finish_reason(self) -> str:
        cut_short = len(self.tokens) < len(self.all_tokens)
        return "length" if cut_short else "stop"

    def usage(self) -> Json:
        spent = len(self.tokens)
        return {
            "prompt_tokens": self.question.prompt_tokens,
            "completion_tokens": spent,
            "total_tokens": self.question.prompt_tokens + spent,
        }

    def chunk(self, delta: Json, finish_reason: str | None = None) -> Json:
        """One piece of a streamed answer."""
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return self._object("chat.completion.chunk", [choice], usage=None)

    def usage_chunk(self) -> Json:
        """The piece after the last one, for `stream_options.include_usage`."""
        return self._object("chat.completion.chunk", [], usage=self.usage())

    def whole(self) -> Json:
        """The answer to a request without `stream`."""
        choice = {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "".join(self.tokens),
                "refusal": None,
            },
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        return self._object("chat.completion", [choice], usage=self.usage())

    def _object(self, kind: str, choices: list[Json], usage: Json | None) -> Json:
        values: Json = {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": MODEL,
            "choices": choices,
        }
        if self.question.include_usage or not self.question.stream:
            values["usage"] = usage
        return values


def read_question(body: object) -> Question:
    """Check what the API documents; fields that change nothing here pass.

    Raises:
        Refusal: names the field at fault, as the API does.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    read_model(body.get("model"))
    messages = read_messages(body.get("messages"))
    options = typed(body, "stream_options", dict, "an object") or {}
    stream = typed(body, "stream", bool, "true or false") or False
    if options and not stream:
        raise Refusal(400, "stream_options needs stream = true", param="stream_options")
    return Question(
        prompt=next((text for role, text in reversed(messages) if role == "user"), ""),
        prompt_tokens=sum(len(split_tokens(text)) for _, text in messages),
        stream=stream,
        include_usage=options.get("include_usage") is True,
        max_tokens=read_max_tokens(body),
    )


def read_model(model: object) -> None:
    if not isinstance(model, str):
        raise Refusal(400, "model is missing: it must be a string", param="model")
    if model != MODEL:
        raise unknown_model(model)


def unknown_model(model: str) -> Refusal:
    return Refusal(
        404,
        f"unknown model {model[:80]!r}; this endpoint has {MODEL!r}",
        param="model",
        code="model_not_found",
    )


def read_messages(messages: object) -> list[tuple[str, str]]:
    """Role and text of each message."""
    if not isinstance(messages, list) or not messages:
        raise Refusal(
            400, "messages must be a list with at least one message", param="messages"
        )
    return [read_message(message, place) for place, message in enumerate(messages)]


def read_message(message: object, place: int) -> tuple[str, str]:
    name = f"messages[{place}]"
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refusal(
            400, f"{name} must be an object with a role", param=f"{name}.role"
        )
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in parts if isinstance(text, str))
    # An assistant message that only calls tools has no content.
    if content is None and message["role"] == "assistant":
        content = ""
    if not isinstance(content, str):
        raise Refusal(
            400,
            f"{name}.content must be a string or a list of parts",
            param=f"{name}.content",
        )
    return message["role"], content


def read_max_tokens(body: Json) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = typed(body, name, int, "a whole number")
        if value is not None:
            if value < 1:
                raise Refusal(400, f"{name} must be 1 or more", param=name)
            return int(value)
    return None


def typed(body: Json, name: str, kind: type, wanted: str) -> Any:
    """The value under `name` if it is of that kind; None if there is none."""
    value = body.get(name)
    # A JSON true would pass for the number 1.
    if value is not None and type(value) is not kind:
        raise Refusal(400, f"{name} must be {wanted}", param=name)
    return value
