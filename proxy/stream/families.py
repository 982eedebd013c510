"""Protocol families: what is streamed, when it is complete, how it tells of an error.

One row for each family. A response is recognised by its head and its first event
alone, and judged by its last ones (`recent_events`): nothing is held for it. A new
family is one more row here, with its cases in tests/unit/stream/test_families.py.

Most clients take a clean end for a complete answer. So a failure is told in the
family's own form, and what says "complete" in that family is never added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from proxy.stream.recent_events import Item


class StreamVerdict(Enum):
    """How a stream of a known family ended, by its own events."""

    COMPLETE = "complete"
    ERROR = "error"  # told by the upstream, inside its stream
    TRUNCATED = "truncated"  # well framed, but without what ends it


COMPLETE, ERROR, TRUNCATED = StreamVerdict


@dataclass(frozen=True, slots=True)
class Told:
    """A failure as it is told. `type`: as RFC 9209 §2.3 has it; `reason`: in words."""

    type: str
    reason: str
    route: str
    request: object = None  # the JSON of its body, where that is known


@dataclass(frozen=True, slots=True)
class ProtocolFamily:
    """One row.

    `complete`: is the stream complete, by its last events? None: nobody can tell.
    `failed`: is this event an error? `failure`: the bytes that tell of a failure,
    behind the first event and these last ones; None: there is no form for it, and
    the connection is aborted. `raises`: every client of it raises on them, so the
    response may end cleanly behind them; `aborts_badly`: it has to, since an abort
    takes a client of it down. `ends_get`: a GET of it has an end, too.
    """

    name: str  # in logs and metrics
    title: str
    recognised_by: str
    complete_when: str
    recognises: Callable[[Item], bool]
    complete: Callable[[Sequence[Item]], bool] | None
    failed: Callable[[Item], bool]
    failure: Callable[[Told, Item | None, Sequence[Item]], bytes | None]
    raises: bool = True
    aborts_badly: bool = False
    ends_get: bool = True
    lines: bool = False  # NDJSON; otherwise an event stream
    field: bytes | None = None  # of the response head; only this family has it

    def verdict(self, items: Sequence[Item], *, whole: bool) -> StreamVerdict | None:
        """Judge a stream by its last events; None if they do not tell.

        `whole`: the response was well framed to its end. To call a stream truncated
        that is complete is worse than not to notice that one is.
        """
        if self.complete is None:
            return None
        if any(self.failed(item) for item in items):
            return ERROR
        if self.complete(items) or any(map(is_done, items)):
            return COMPLETE
        if not whole or (items and not items[-1].whole):
            return None  # what was not kept may have told it
        return TRUNCATED


# -- reading


def kind(item: Item) -> str:
    """The `type` member of the data, or of the event where that is not whole."""
    found = item.members.get("type")
    if isinstance(found, str):
        return found
    return item.type


def is_kind(*kinds: str) -> Callable[[Item], bool]:
    """Is an event one of these kinds?"""
    return lambda item: kind(item) in kinds


def has_kind(*kinds: str) -> Callable[[Sequence[Item]], bool]:
    """Is one of the last events of these kinds?

    Not always the very last: pings and messages of a log may come behind it.
    """
    return lambda items: any(kind(item) in kinds for item in items)


def is_done(item: Item) -> bool:
    """The end of OpenAI's first API.

    Servers and gateways that speak several families send it behind the end of the
    others, too.
    """
    return item.data.startswith("[DONE]")


def has_error(item: Item) -> bool:
    """Has the data a member `error`?"""
    return bool(item.members.get("error"))


def never(_: Item) -> bool:
    """Nothing is recognised by its events."""
    return False


# -- writing


def event(value: object, name: str = "") -> bytes:
    """A whole event of one line of JSON (RFC 8259 §7: line feeds are escaped)."""
    data = b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"event: %b\n%b" % (name.encode("ascii"), data) if name else data


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
    }


# -- OpenAI: responses


def is_responses(item: Item) -> bool:
    """The first event, or an error in place of it; each has a number."""
    found = item.members
    if kind(item).startswith("response."):
        return "sequence_number" in found or "response" in found
    return kind(item) == "error" and "sequence_number" in found


def responses_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    """`response.failed`, of this response and with the next number.

    The clients raise by the member `error` alone.
    """
    began = first.members.get("response") if first is not None else None
    response = {
        **(began if isinstance(began, dict) else {"object": "response"}),
        "status": "failed",
        "error": {"code": "server_error", "message": told.reason},
    }
    numbers = [item.members.get("sequence_number") for item in last]
    known = [number for number in numbers if isinstance(number, int)]
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
    return event({"type": "error", "error": error}, "error")


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


# -- AI SDK, the stream of a page

START_MEMBERS = {"type", "messageId", "messageMetadata"}


def is_ai_sdk(item: Item) -> bool:
    """Its first part, if that says more than that something starts.

    Most say it in the head: see `field`.
    """
    members = set(item.members)
    return kind(item) == "start" and {"type"} < members <= START_MEMBERS


def ai_sdk_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return event({"type": "error", "errorText": told.reason})


# -- AG-UI


def is_ag_ui(item: Item) -> bool:
    """Its first event, or an error in place of it."""
    found = item.members
    if kind(item) == "RUN_STARTED":
        return "threadId" in found or "runId" in found
    return kind(item) == "RUN_ERROR" and "message" in found


def ag_ui_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return event({"type": "RUN_ERROR", "message": told.reason, "code": told.type})


# -- JSON-RPC 2.0, MCP among it


UPSTREAM_FAILED = -32000  # of the range that is left to implementations


def is_json_rpc(item: Item) -> bool:
    return item.members.get("jsonrpc") == "2.0"


def json_rpc_complete(items: Sequence[Item]) -> bool:
    """A response is one of the last messages."""
    return any("result" in item.members for item in items)


def json_rpc_failure(
    told: Told, first: Item | None, last: Sequence[Item]
) -> bytes | None:
    """The response to the request, as an error; None where that must not be.

    MCP's client for Node waits a minute for a response with its id, whatever becomes
    of the body. But a client that has seen an id of an event asks again with it, and
    an error would end its request for good.
    """
    request = told.request
    seen = last if first is None else (first, *last)
    if any(item.id for item in seen) or not isinstance(request, dict):
        return None
    number = request.get("id")
    if not isinstance(number, int | str) or isinstance(number, bool):
        return None
    error = {"code": UPSTREAM_FAILED, "message": told.reason}
    return event({"jsonrpc": "2.0", "id": number, "error": error}, "message")


# -- Ollama


def is_ollama(item: Item) -> bool:
    found = item.members
    return "model" in found and "done" in found


def ollama_complete(items: Sequence[Item]) -> bool:
    return any(item.members.get("done") is True for item in items)


def ollama_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return json.dumps({"error": told.reason}).encode("ascii") + b"\n"


# -- what is of no family


def events_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    """To an EventSource it is an event of type `error`.

    Clients of OpenAI's and Anthropic's APIs, whose first event has not come, look for
    the member `error`.
    """
    error = {"message": told.reason, "type": "server_error", "code": told.type}
    value = {"type": told.type, "reason": told.reason, "route": told.route}
    return event({**value, "error": error}, "error")


def lines_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    value = {"error": told.reason, "type": told.type, "route": told.route}
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def no_failure(told: Told, first: Item | None, last: Sequence[Item]) -> None:
    """There is no form for it."""


FAMILIES: tuple[ProtocolFamily, ...] = (
    ProtocolFamily(
        name="openai-chat",
        title="OpenAI chat completions",
        recognised_by='a chunk: `"object":"chat.completion.chunk"`',
        complete_when="`data: [DONE]`, or every choice has a `finish_reason`",
        recognises=is_chat,
        complete=chat_complete,
        failed=has_error,
        failure=chat_failure,
    ),
    ProtocolFamily(
        name="openai-responses",
        title="OpenAI responses",
        recognised_by="`event: response.…`",
        complete_when="`response.completed` or `response.incomplete`",
        recognises=is_responses,
        complete=has_kind("response.completed", "response.incomplete"),
        failed=is_kind("response.failed", "error"),
        failure=responses_failure,
    ),
    ProtocolFamily(
        name="anthropic",
        title="Anthropic messages",
        recognised_by="`event: message_start`",
        complete_when="`event: message_stop`",
        recognises=is_anthropic,
        complete=has_kind("message_stop"),
        failed=is_kind("error"),
        failure=anthropic_failure,
    ),
    ProtocolFamily(
        name="gemini",
        title="Gemini, `alt=sse`",
        recognised_by="`candidates`, or nothing but `usageMetadata` and its like",
        complete_when="the last candidates have a `finishReason`, or a `blockReason`",
        recognises=is_gemini,
        complete=gemini_complete,
        failed=has_error,
        failure=gemini_failure,
    ),
    ProtocolFamily(
        name="ai-sdk",
        title="AI SDK UI message stream",
        recognised_by=(
            "`x-vercel-ai-ui-message-stream`, or `start` with a `messageId`"
        ),
        complete_when="`finish`, `abort` or `[DONE]`",
        recognises=is_ai_sdk,
        complete=has_kind("finish", "abort"),
        failed=is_kind("error"),
        failure=ai_sdk_failure,
        field=b"x-vercel-ai-ui-message-stream",
    ),
    ProtocolFamily(
        name="ag-ui",
        title="AG-UI",
        recognised_by="`RUN_STARTED` with a `threadId`",
        complete_when="`RUN_FINISHED`",
        recognises=is_ag_ui,
        complete=has_kind("RUN_FINISHED"),
        failed=is_kind("RUN_ERROR"),
        failure=ag_ui_failure,
        aborts_badly=True,  # @ag-ui/client 1.0 ends Node by an unhandled rejection
    ),
    ProtocolFamily(
        name="json-rpc",
        title="JSON-RPC, MCP among it",
        recognised_by='`"jsonrpc":"2.0"`',
        complete_when="a response to a POST came",
        recognises=is_json_rpc,
        complete=json_rpc_complete,
        failed=has_error,
        failure=json_rpc_failure,
        ends_get=False,
    ),
    ProtocolFamily(
        name="ollama",
        title="Ollama",
        recognised_by="NDJSON with `model` and `done`",
        complete_when='`"done":true`',
        recognises=is_ollama,
        complete=ollama_complete,
        failed=has_error,
        failure=ollama_failure,
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
