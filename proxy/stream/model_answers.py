"""What a stream tells of a model's answer: who answers, how many tokens, and when.

One row for each family, read from single events: from the first ones up to the first
token, and from the last ones that are kept anyway. What lies between is not read, so
that a long answer costs no more than a short one. What is malformed tells nothing.
"""

from __future__ import annotations

import json

from proxy.stream.family import AnswerReader, kind
from proxy.stream.recent_events import CUT, Item
from proxy.timeline import ModelAnswer

MOST_TOKENS = 2**53  # what a number of JavaScript counts
MODEL_CHARACTERS = 128
USAGE = '"usage"'
CUT_TEXT = CUT.decode("ascii")
DECODER = json.JSONDecoder()

Members = dict[str, object]

# -- what all families have in common


def members(value: object) -> Members:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def tokens(value: object) -> int | None:
    """A number of tokens, if it is one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < MOST_TOKENS else None
    return None


def total(*values: object) -> int | None:
    """The sum of those that are numbers of tokens; None: there is none."""
    known = [count for value in values if (count := tokens(value)) is not None]
    return sum(known) if known else None


def note_model(answer: ModelAnswer, name: object) -> None:
    """The first name counts: some servers leave it out, or empty, later."""
    if not answer.model and isinstance(name, str) and name.isprintable():
        answer.model = name[:MODEL_CHARACTERS]


def note_usage(answer: ModelAnswer, read: int | None, written: int | None) -> None:
    """What is told last counts, since it is told of all until then."""
    if read is not None:
        answer.input_tokens = read
    if written is not None:
        answer.output_tokens = written


def says(delta: object, *names: str) -> bool:
    """Is one of these members there, and not empty?"""
    found = members(delta)
    return any(found.get(name) for name in names)


# -- OpenAI: chat completions, and the older completions

CHAT_OUTPUT = ("content", "reasoning", "reasoning_content", "refusal", "tool_calls")


def read_chat(item: Item, answer: ModelAnswer) -> None:
    found = item.members
    note_model(answer, found.get("model"))
    usage = members(found.get("usage") or members(found.get("x_groq")).get("usage"))
    note_usage(
        answer,
        tokens(usage.get("prompt_tokens")),
        tokens(usage.get("completion_tokens")),
    )


def is_chat_token(item: Item) -> bool:
    choices = item.members.get("choices")
    if not isinstance(choices, list):
        return False
    return any(
        says(choice, "text")
        or says(members(choice).get("delta"), *CHAT_OUTPUT, "function_call", "audio")
        for choice in choices
    )


# -- OpenAI: responses


def read_responses(item: Item, answer: ModelAnswer) -> None:
    response = members(item.members.get("response"))
    note_model(answer, response.get("model"))
    usage = members(response.get("usage"))
    if not item.whole and kind(item).startswith("response."):
        usage = usage_behind_cut(item.data)
    note_usage(
        answer, tokens(usage.get("input_tokens")), tokens(usage.get("output_tokens"))
    )


def usage_behind_cut(text: str) -> Members:
    """The usage at the end of an event whose middle was not kept.

    Inside a string its quotes would be escaped.
    """
    at = text.rfind(USAGE, text.find(CUT_TEXT) + 1)
    if at < 0:
        return {}
    try:
        rest = text[at + len(USAGE) :].lstrip().removeprefix(":").lstrip()
        return members(DECODER.raw_decode(rest)[0])
    except (ValueError, RecursionError):
        return {}


def is_delta(item: Item) -> bool:
    """Is it an event whose type ends in `delta`, with one that is not empty?"""
    return kind(item).endswith("delta") and bool(item.members.get("delta"))


# -- Anthropic messages


def read_anthropic(item: Item, answer: ModelAnswer) -> None:
    """What is read from a cache, or written into one, is input as well."""
    message = members(item.members.get("message"))
    note_model(answer, message.get("model"))
    usage = members(message.get("usage") or item.members.get("usage"))
    read = tokens(usage.get("input_tokens"))
    if read is not None:
        read = total(
            read,
            usage.get("cache_read_input_tokens"),
            usage.get("cache_creation_input_tokens"),
        )
    note_usage(answer, read, tokens(usage.get("output_tokens")))


# A block of these begins empty, and its deltas follow; of any other kind the beginning
# is output, such as the name of a tool.
EMPTY_BLOCKS = ("text", "thinking")
ANTHROPIC_OUTPUT = ("text", "thinking", "partial_json", "citation")


def is_anthropic_token(item: Item) -> bool:
    if kind(item) == "content_block_delta":
        return says(item.members.get("delta"), *ANTHROPIC_OUTPUT)
    if kind(item) == "content_block_start":
        block = members(item.members.get("content_block"))
        return block.get("type") not in EMPTY_BLOCKS or says(block, *EMPTY_BLOCKS)
    return False


# -- Gemini


def read_gemini(item: Item, answer: ModelAnswer) -> None:
    found = item.members
    note_model(answer, found.get("modelVersion"))
    usage = members(found.get("usageMetadata"))
    note_usage(
        answer,
        total(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
        total(usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")),
    )


def is_gemini_token(item: Item) -> bool:
    candidates = item.members.get("candidates")
    if not isinstance(candidates, list):
        return False
    for candidate in candidates:
        parts = members(members(candidate).get("content")).get("parts")
        if isinstance(parts, list) and any(map(has_output, parts)):
            return True
    return False


def has_output(part: object) -> bool:
    """Has a part of Gemini's anything but an empty text?"""
    return any(value for name, value in members(part).items() if name != "thought")


# -- Ollama


def read_ollama(item: Item, answer: ModelAnswer) -> None:
    found = item.members
    note_model(answer, found.get("model"))
    note_usage(
        answer, tokens(found.get("prompt_eval_count")), tokens(found.get("eval_count"))
    )


def is_ollama_token(item: Item) -> bool:
    found = item.members
    return says(found, "response", "thinking") or says(
        found.get("message"), "content", "thinking", "tool_calls"
    )


# -- the AI SDK, and AG-UI: what applications say of models behind them


def read_ai_sdk(item: Item, answer: ModelAnswer) -> None:
    """Only what an application puts into the metadata of its message."""
    metadata = members(item.members.get("messageMetadata"))
    note_model(answer, metadata.get("model"))
    usage = members(metadata.get("totalUsage") or metadata.get("usage"))
    note_usage(
        answer, tokens(usage.get("inputTokens")), tokens(usage.get("outputTokens"))
    )


def is_ai_sdk_token(item: Item) -> bool:
    return kind(item).endswith("-delta") and says(
        item.members, "delta", "inputTextDelta"
    )


def read_nothing(item: Item, answer: ModelAnswer) -> None:
    """The family has no place for it."""


AG_UI_OUTPUT = ("_CONTENT", "_CHUNK", "_ARGS")


def is_ag_ui_token(item: Item) -> bool:
    return kind(item).endswith(AG_UI_OUTPUT) and says(item.members, "delta")


CHAT = AnswerReader("openai", "chat", read_chat, is_chat_token)
RESPONSES = AnswerReader("openai", "chat", read_responses, is_delta)
ANTHROPIC = AnswerReader("anthropic", "chat", read_anthropic, is_anthropic_token)
GEMINI = AnswerReader("gcp.gemini", "generate_content", read_gemini, is_gemini_token)
OLLAMA = AnswerReader("ollama", "chat", read_ollama, is_ollama_token)
AI_SDK = AnswerReader("ai-sdk", "chat", read_ai_sdk, is_ai_sdk_token)
AG_UI = AnswerReader("ag-ui", "invoke_agent", read_nothing, is_ag_ui_token)
