"""Protocol families: what is streamed, when it is complete, how it tells of an error.

One row for each family. A response is recognised by its head and its first event
alone, and judged by its last ones (`recent_events`): nothing is held for it. A new
family is one more row here, with its cases in tests/unit/stream/test_families.py.

Most clients take a clean end for a complete answer. So a failure is told in the
family's own form, and what says "complete" in that family is never added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from proxy.stream import agent_families as agents
from proxy.stream import model_answers as answers
from proxy.stream import model_families as models
from proxy.stream.family import (
    ProtocolFamily,
    Told,
    event,
    has_error,
    has_kind,
    id_of,
    is_kind,
    never,
)
from proxy.stream.recent_events import Item

# -- what is of no family


def events_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    """To an EventSource it is an event of type `error`.

    Clients of OpenAI's and Anthropic's APIs, whose first event has not come, look for
    the member `error`.
    """
    error = {"message": told.reason, "type": "server_error", "code": told.type}
    value = {"type": told.type, "reason": told.reason, **route_of(told), **id_of(told)}
    return event({**value, "error": error}, "error")


def lines_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    value = {"error": told.reason, "type": told.type, **route_of(told), **id_of(told)}
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def route_of(told: Told) -> dict[str, str]:
    """The member that names the route, where it is told."""
    return {"route": told.route} if told.route else {}


def no_failure(told: Told, first: Item | None, last: Sequence[Item]) -> None:
    """There is no form for it."""


FAMILIES: tuple[ProtocolFamily, ...] = (
    ProtocolFamily(
        name="openai-chat",
        title="OpenAI chat completions",
        recognised_by='a chunk: `"object":"chat.completion.chunk"`',
        complete_when="`data: [DONE]`, or every choice has a `finish_reason`",
        recognises=models.is_chat,
        complete=models.chat_complete,
        failed=has_error,
        failure=models.chat_failure,
        answer=answers.CHAT,
    ),
    ProtocolFamily(
        name="openai-responses",
        title="OpenAI responses",
        recognised_by="`event: response.…`",
        complete_when="`response.completed` or `response.incomplete`",
        recognises=models.is_responses,
        complete=has_kind("response.completed", "response.incomplete"),
        failed=is_kind("response.failed", "error"),
        failure=models.responses_failure,
        answer=answers.RESPONSES,
    ),
    ProtocolFamily(
        name="anthropic",
        title="Anthropic messages",
        recognised_by="`event: message_start`",
        complete_when="`event: message_stop`",
        recognises=models.is_anthropic,
        complete=has_kind("message_stop"),
        failed=is_kind("error"),
        failure=models.anthropic_failure,
        answer=answers.ANTHROPIC,
    ),
    ProtocolFamily(
        name="gemini",
        title="Gemini, `alt=sse`",
        recognised_by="`candidates`, or nothing but `usageMetadata` and its like",
        complete_when="the last candidates have a `finishReason`, or a `blockReason`",
        recognises=models.is_gemini,
        complete=models.gemini_complete,
        failed=has_error,
        failure=models.gemini_failure,
        answer=answers.GEMINI,
    ),
    ProtocolFamily(
        name="ai-sdk",
        title="AI SDK UI message stream",
        recognised_by=(
            "`x-vercel-ai-ui-message-stream`, or `start` with a `messageId`"
        ),
        complete_when="`finish`, `abort` or `[DONE]`",
        recognises=agents.is_ai_sdk,
        complete=has_kind("finish", "abort"),
        failed=is_kind("error"),
        failure=agents.ai_sdk_failure,
        answer=answers.AI_SDK,
        field=b"x-vercel-ai-ui-message-stream",
    ),
    ProtocolFamily(
        name="ag-ui",
        title="AG-UI",
        recognised_by="`RUN_STARTED` with a `threadId`",
        complete_when="`RUN_FINISHED`",
        recognises=agents.is_ag_ui,
        complete=has_kind("RUN_FINISHED"),
        failed=is_kind("RUN_ERROR"),
        failure=agents.ag_ui_failure,
        answer=answers.AG_UI,
        aborts_badly=True,  # @ag-ui/client 1.0 ends Node by an unhandled rejection
    ),
    ProtocolFamily(
        name="json-rpc",
        title="JSON-RPC, MCP among it",
        recognised_by='`"jsonrpc":"2.0"`',
        complete_when="a response to a POST came",
        recognises=agents.is_json_rpc,
        complete=agents.json_rpc_complete,
        failed=has_error,
        failure=agents.json_rpc_failure,
        resumes=True,
        ends_get=False,
    ),
    ProtocolFamily(
        name="ollama",
        title="Ollama",
        recognised_by="NDJSON with `model` and `done`",
        complete_when='`"done":true`',
        recognises=models.is_ollama,
        complete=models.ollama_complete,
        failed=has_error,
        failure=models.ollama_failure,
        answer=answers.OLLAMA,
        lines=True,
    ),
)

# What a stream is of whose first event tells nothing.
PLAIN_EVENTS = ProtocolFamily(
    name="event-stream",
    title="Any other event stream",
    recognised_by="`text/event-stream`",
    complete_when="nobody can tell",
    recognises=never,
    complete=None,
    failed=never,
    failure=events_failure,
    raises=False,
    ends_get=False,
)
PLAIN_LINES = ProtocolFamily(
    name="ndjson",
    title="Any other NDJSON",
    recognised_by="`application/x-ndjson`, `application/jsonl`, …",
    complete_when="nobody can tell",
    recognises=never,
    complete=None,
    failed=never,
    failure=lines_failure,
    raises=False,
    lines=True,
)
PLAIN_BYTES = ProtocolFamily(
    name="bytes",
    title="Anything else",
    recognised_by="",
    complete_when="its framing says so",
    recognises=never,
    complete=None,
    failed=never,
    failure=no_failure,
    raises=False,
)
BY_NAME = {family.name: family for family in FAMILIES}
BY_FIELD = {family.field: family for family in FAMILIES if family.field is not None}


def named(name: str) -> ProtocolFamily:
    """The family of this name."""
    return BY_NAME[name]


def of_fields(index: Mapping[bytes, object]) -> ProtocolFamily | None:
    """The family of a response by its fields, by lower-case names."""
    for field, family in BY_FIELD.items():
        if field in index:
            return family
    return None


def of_event(item: Item, *, lines: bool) -> ProtocolFamily | None:
    """The family of a stream by its first event, or line."""
    for family in FAMILIES:
        if family.lines is lines and family.recognises(item):
            return family
    return None
