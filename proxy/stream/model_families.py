"""The APIs of models: OpenAI, Anthropic, Gemini, Ollama."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from proxy.stream.family import Told, event, id_of, kind
from proxy.stream.recent_events import Item

# -- OpenAI: chat completions, and the older completions

CHAT_OBJECTS = ("chat.completion.chunk", "text_completion")


def is_chat(item: Item) -> bool:
    """A chunk, or an error in place of all of them.

    Azure sends a chunk of an empty `object` before the others.
    """
    found = item.members
    if isinstance(found.get("choices"), list):
        return found.get("object") in CHAT_OBJECTS or "prompt_filter_results" in found
    error = found.get("error")
    return (
        len(found) == 1
        and isinstance(error, dict)
        and "message" in error
        and "status" not in error  # Gemini's
    )


def chat_complete(items: Sequence[Item]) -> bool:
    """The choices have finished, and only usage has come since."""
    for item in reversed(items):
        choices = item.members.get("choices")
        if choices:
            return isinstance(choices, list) and all(
                isinstance(choice, dict) and choice.get("finish_reason") is not None
                for choice in choices
            )
    return False


def chat_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return event({"error": openai_error(told)})


def openai_error(told: Told) -> dict[str, object]:
    """An error object of OpenAI's API."""
    return {
        "message": told.reason,
        "type": "server_error",
        "param": None,
        "code": told.type,
        **id_of(told),
    }


# -- OpenAI: responses


def is_responses(item: Item) -> bool:
    """The first event, or an error in place of it; each has a number."""
    found = item.members
    if kind(item).startswith("response."):
        return "sequence_number" in found or "response" in found
    return kind(item) == "error" and "sequence_number" in found


MOST_EVENTS = 2**53  # what a number of JavaScript counts


def responses_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    """`response.failed`, of this response in outline and with the next number.

    The clients raise by the member `error` alone.
    """
    began = first.members.get("response") if first is not None else None
    response = {
        **(began if isinstance(began, dict) else {"object": "response"}),
        "status": "failed",
        "error": {"code": "server_error", "message": told.reason},
    }
    numbers = [item.members.get("sequence_number") for item in last]
    known = [n for n in numbers if isinstance(n, int) and abs(n) < MOST_EVENTS]
    failed: dict[str, object] = {
        "type": "response.failed",
        "sequence_number": max(known, default=-1) + 1,
        "response": response,
        "error": openai_error(told),
    }
    return event(failed, "response.failed")


# -- Anthropic messages


def is_anthropic(item: Item) -> bool:
    """The first event, or an error in place of it."""
    if kind(item) == "message_start":
        return isinstance(item.members.get("message"), dict)
    return kind(item) == "error" and isinstance(item.members.get("error"), dict)


def anthropic_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    error = {"type": "api_error", "message": told.reason}
    return event({"type": "error", "error": error, **id_of(told)}, "error")


# -- Gemini, `alt=sse`

PARTS = re.compile(r'"parts"\s*:\s*\[')
FINISH_REASON = re.compile(r'"finishReason"\s*:\s*"[A-Z]')
# What a response has, if it has no candidates. Events of Google's ADK have some of
# them, and others.
WITHOUT_CANDIDATES = {
    "promptFeedback",
    "usageMetadata",
    "modelVersion",
    "responseId",
    "createTime",
}


def is_gemini(item: Item) -> bool:
    """A response, or an error: that has a status in words."""
    found = item.members
    candidates, error = found.get("candidates"), found.get("error")
    if "candidates" in found and not item.whole:
        return PARTS.search(item.data) is not None
    if isinstance(candidates, list) and candidates:
        return all(
            isinstance(each, dict) and ("content" in each or "finishReason" in each)
            for each in candidates
        )
    if isinstance(error, dict):
        return {"code", "message", "status"} <= set(error)
    if "usageMetadata" in found or "promptFeedback" in found:
        return set(found) - {"candidates"} <= WITHOUT_CANDIDATES
    return False


def gemini_complete(items: Sequence[Item]) -> bool:
    """The last candidates have a finish reason; earlier ones may have one, too.

    Behind them an event may have no candidates, but usage.
    """
    for item in reversed(items):
        found = item.members
        if not item.whole:
            return FINISH_REASON.search(item.data) is not None
        feedback = found.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            return True
        candidates = found.get("candidates")
        if candidates:
            return isinstance(candidates, list) and any(
                isinstance(each, dict) and each.get("finishReason")
                for each in candidates
            )
    return False


def gemini_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    """No line but `data:`, no member before `error`: its clients know no other form."""
    error = {"code": 503, "message": told.reason, "status": "UNAVAILABLE"}
    return event({"error": error})


# -- Ollama


def is_ollama(item: Item) -> bool:
    found = item.members
    return "model" in found and "done" in found


def ollama_complete(items: Sequence[Item]) -> bool:
    return any(item.members.get("done") is True for item in items)


def ollama_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return json.dumps({"error": told.reason}).encode("ascii") + b"\n"
