"""Each row of the table: recognised, judged, and told of a failure."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from proxy.stream.families import FAMILIES, named, of_event, of_fields
from proxy.stream.family import (
    COMPLETE,
    ERROR,
    TRUNCATED,
    ProtocolFamily,
    StreamVerdict,
    Told,
)
from proxy.stream.recent_events import Item, RecentEvents

TOLD = Told(
    "http_response_incomplete",
    "the upstream closed early: é\nx",
    "/chat",
    {"jsonrpc": "2.0", "id": 7, "method": "m"},
)


def data(value: object, event: str = "", id: str = "") -> bytes:
    """One event of JSON, as a back end writes it."""
    lines = [f"id: {id}"] if id else []
    lines += [f"event: {event}"] if event else []
    return "\n".join([*lines, f"data: {json.dumps(value)}", "", ""]).encode()


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def chat(finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": finish}
    return data({"object": "chat.completion.chunk", "choices": [choice], **more})


def responses(kind: str, number: int, **more: object) -> bytes:
    return data({"type": kind, "sequence_number": number, **more}, kind)


def gemini(finish: str | None = None) -> bytes:
    candidate: dict[str, object] = {"content": {"parts": [{"text": "x"}]}}
    if finish:
        candidate["finishReason"] = finish
    return data({"candidates": [candidate], "modelVersion": "m"})


def rpc(**members: object) -> bytes:
    return data({"jsonrpc": "2.0", **members}, "message")


def ollama(*, done: bool, **more: object) -> bytes:
    return line({"model": "m", "message": {"content": "x"}, "done": done, **more})


DONE = b"data: [DONE]\n\n"
USAGE = data({"object": "chat.completion.chunk", "choices": [], "usage": {"x": 1}})
AZURE = data({"object": "", "choices": [], "prompt_filter_results": []})
CREATED = responses("response.created", 0, response={"id": "resp_1", "object": "o"})
START = data(
    {"type": "message_start", "message": {"id": "msg_1", "content": []}},
    "message_start",
)
STOP = data({"type": "message_stop"}, "message_stop")
PING = data({"type": "ping"}, "ping")
COMPLETED = responses("response.completed", 1, response={})
STARTED = data({"type": "start", "messageId": "m"})
RUN = data({"type": "RUN_STARTED", "threadId": "t", "runId": "r"})
LONG = [{"type": "text", "text": '"x\\'}] * 10_000  # than what is kept
LONG_CREATED = responses("response.created", 0, response={"tools": LONG})


@dataclass(frozen=True)
class Case:
    """A stream, and the verdict on it if it ends well framed there."""

    family: str
    name: str
    stream: bytes
    verdict: StreamVerdict | None


CASES = (
    Case("openai-chat", "DONE", chat() + chat("stop") + DONE, COMPLETE),
    Case("openai-chat", "usage, DONE", chat("stop") + USAGE + DONE, COMPLETE),
    Case("openai-chat", "no DONE, finished", chat() + chat("stop"), COMPLETE),
    Case("openai-chat", "no DONE, usage", chat("stop") + USAGE, COMPLETE),
    Case("openai-chat", "cut", chat() + chat(), TRUNCATED),
    Case("openai-chat", "only the first", chat(), TRUNCATED),
    Case("openai-chat", "Azure", AZURE + chat() + DONE, COMPLETE),
    Case("openai-chat", "error", chat() + data({"error": {"message": "x"}}), ERROR),
    Case("openai-chat", "nothing else", data({"error": {"message": "x"}}), ERROR),
    Case(
        "openai-chat", "error, DONE", chat() + data({"error": {"m": 1}}) + DONE, ERROR
    ),
    Case(
        "openai-chat",
        "completions",
        data({"object": "text_completion", "choices": [{"text": "x"}]}) + DONE,
        COMPLETE,
    ),
    Case(
        "openai-responses",
        "completed",
        CREATED + responses("response.completed", 1, response={}),
        COMPLETE,
    ),
    Case(
        "openai-responses",
        "incomplete",
        CREATED + responses("response.incomplete", 1, response={}),
        COMPLETE,
    ),
    Case(
        "openai-responses",
        "failed",
        CREATED + responses("response.failed", 1, response={}),
        ERROR,
    ),
    Case(
        "openai-responses",
        "error",
        CREATED + data({"type": "error", "message": "x", "sequence_number": 1}),
        ERROR,
    ),
    Case(
        "openai-responses",
        "nothing else",
        data({"type": "error", "message": "x", "sequence_number": 0}, "error"),
        ERROR,
    ),
    Case(
        "openai-responses",
        "cut",
        CREATED + responses("response.output_text.delta", 1, delta="x"),
        TRUNCATED,
    ),
    Case(
        "openai-responses",
        "longer than what is kept",
        CREATED + responses("response.completed", 1, response={"text": "x" * 200_000}),
        COMPLETE,
    ),
    Case(
        "anthropic",
        "message_stop",
        START + PING + data({"type": "message_stop"}, "message_stop"),
        COMPLETE,
    ),
    Case("anthropic", "ping first", PING + START, TRUNCATED),
    Case("anthropic", "cut", START + data({"type": "content_block_delta"}), TRUNCATED),
    Case(
        "anthropic",
        "overloaded",
        START + data({"type": "error", "error": {"type": "overloaded_error"}}, "error"),
        ERROR,
    ),
    Case(
        "anthropic",
        "nothing else",
        data({"type": "error", "error": {"type": "overloaded_error"}}, "error"),
        ERROR,
    ),
    Case("gemini", "finished", gemini() + gemini("STOP"), COMPLETE),
    Case("gemini", "cut", gemini() + gemini(), TRUNCATED),
    Case("gemini", "a reason in the middle", gemini("STOP") + gemini(), TRUNCATED),
    Case(
        "gemini",
        "blocked",
        data({"promptFeedback": {"blockReason": "SAFETY"}}),
        COMPLETE,
    ),
    Case(
        "gemini",
        "error",
        gemini() + data({"error": {"code": 503, "message": "x", "status": "S"}}),
        ERROR,
    ),
    Case(
        "gemini",
        "nothing else",
        data({"error": {"code": 503, "message": "x", "status": "S"}}),
        ERROR,
    ),
    Case(
        "gemini",
        "longer than what is kept",
        gemini()
        + data({"candidates": [{"content": "x" * 200_000, "finishReason": "STOP"}]}),
        COMPLETE,
    ),
    Case(
        "ai-sdk",
        "finish, DONE",
        data({"type": "start", "messageId": "m"}) + data({"type": "finish"}) + DONE,
        COMPLETE,
    ),
    Case("ai-sdk", "abort", STARTED + data({"type": "abort"}), COMPLETE),
    Case(
        "ai-sdk",
        "cut",
        STARTED + data({"type": "text-delta", "delta": "x"}),
        TRUNCATED,
    ),
    Case(
        "ai-sdk",
        "error, finish, DONE",
        STARTED
        + data({"type": "error", "errorText": "x"})
        + data({"type": "finish-step"})
        + data({"type": "finish"})
        + DONE,
        ERROR,
    ),
    Case(
        "ag-ui",
        "finished",
        RUN + data({"type": "RUN_FINISHED"}),
        COMPLETE,
    ),
    Case("ag-ui", "cut", RUN, TRUNCATED),
    Case(
        "ag-ui",
        "error",
        RUN + data({"type": "RUN_ERROR", "message": "x"}),
        ERROR,
    ),
    Case("ag-ui", "nothing else", data({"type": "RUN_ERROR", "message": "x"}), ERROR),
    Case("json-rpc", "response", rpc(method="m") + rpc(id=1, result={}), COMPLETE),
    Case("json-rpc", "cut", rpc(method="m"), TRUNCATED),
    Case("json-rpc", "error", rpc(id=1, error={"code": -32000}), ERROR),
    Case(
        "json-rpc",
        "an event to begin with",
        b"id: 1\ndata:\n\n" + rpc(id=1, result={}),
        COMPLETE,
    ),
    Case("ollama", "done", ollama(done=False) + ollama(done=True), COMPLETE),
    Case("ollama", "cut", ollama(done=False), TRUNCATED),
    Case("ollama", "error", ollama(done=False) + line({"error": "x"}), ERROR),
    # What stands behind the end of many a server's stream.
    Case("openai-chat", "no line feed", chat() + DONE[:-2], COMPLETE),
    Case("openai-chat", "one line feed", chat() + DONE[:-1], COMPLETE),
    Case("openai-chat", "pings", chat() + DONE + b": ping\n\n" * 9, COMPLETE),
    Case("openai-responses", "DONE", CREATED + COMPLETED + DONE, COMPLETE),
    Case("anthropic", "DONE", START + STOP + DONE, COMPLETE),
    Case("anthropic", "a ping", START + STOP + PING, COMPLETE),
    Case(
        "anthropic", "a ping without a name", data({"type": "ping"}) + START, TRUNCATED
    ),
    Case("gemini", "usage", gemini("STOP") + data({"usageMetadata": {}}), COMPLETE),
    Case(
        "gemini",
        "no candidates",
        gemini("STOP") + data({"candidates": [], "usageMetadata": {}}),
        COMPLETE,
    ),
    Case("gemini", "DONE", gemini() + DONE, COMPLETE),
    Case("ag-ui", "DONE", RUN + data({"type": "RUN_FINISHED"}) + DONE, COMPLETE),
    Case(
        "json-rpc",
        "a message of the log",
        rpc(id=1, result={}) + rpc(method="notifications/message"),
        COMPLETE,
    ),
    Case("ollama", "no line feed", ollama(done=True)[:-1], COMPLETE),
    # A server of MCP may have its client ask for the rest (SEP-1699).
    Case("json-rpc", "resumed", b"id: 1\ndata:\n\n" + rpc(method="m"), None),
    # Longer than what is kept.
    Case(
        "gemini",
        "an image",
        data({"candidates": [{"content": {"parts": [{"data": "x" * 200_000}]}}]})
        + gemini("STOP"),
        COMPLETE,
    ),
    Case("openai-responses", "long", LONG_CREATED + COMPLETED, COMPLETE),
    Case("json-rpc", "long", rpc(id=1, result={"content": LONG}), COMPLETE),
    Case(
        "ag-ui", "long", RUN + data({"type": "RUN_FINISHED", "result": LONG}), COMPLETE
    ),
    Case("ollama", "long", ollama(done=True, context=LONG), COMPLETE),
    Case("ollama", "long, unknown", ollama(done=False) + line({"x": LONG}), None),
    Case("openai-chat", "long, unknown", chat() + data({"x": LONG}), None),
)


def seen(stream: bytes, size: int, *, lines: bool) -> RecentEvents:
    recent = RecentEvents(lines=lines)
    for start in range(0, len(stream), size):
        recent.observe(stream[start : start + size])
    return recent


def first_of(stream: bytes, *, lines: bool) -> Item:
    """The first event that says anything."""
    recent = RecentEvents(lines=lines)
    for start in range(len(stream)):
        if recent.observe(stream[start : start + 1]):
            for item in recent.items():
                if "ping" not in (item.type, item.members.get("type")):
                    return item
    raise AssertionError("the stream has no event")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}: {case.name}")
@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_a_stream_is_judged_by_its_last_events(case: Case, size: int) -> None:
    family = named(case.family)
    if len(case.stream) > 10_000 and size < 1000:
        size = 997
    recent = seen(case.stream, size, lines=family.lines)
    assert family.verdict(None, recent.items(ended=True), whole=True) is case.verdict


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name != "no line feed" or case.family != "ollama"],
    ids=lambda case: f"{case.family}: {case.name}",
)
def test_a_stream_is_recognised_by_its_first_event(case: Case) -> None:
    lines = named(case.family).lines
    first = first_of(case.stream, lines=lines)
    assert of_event(first, lines=lines) is named(case.family)


def test_every_family_has_cases_of_each_verdict() -> None:
    told = {(case.family, case.verdict) for case in CASES}
    for family in FAMILIES:
        for verdict in StreamVerdict:
            assert (family.name, verdict) in told


@pytest.mark.parametrize(
    "first",
    [
        b"data: hello\n\n",
        b"data: [1]\n\n",
        b"data: 1\n\n",
        b"data: null\n\n",
        data({"type": "start", "job": 7}),
        data({"type": "error", "text": "x"}),
        data({"choices": [1, 2], "object": "poll"}),
        data({"choices": "x"}),
        data({"error": "x"}),
        data({"error": {"message": "x"}, "job": 7}),
        data({"type": "response.time", "ms": 3}),
        data({"type": "message_start"}),
        data({"type": "message_start", "message": "hello"}),
        data({"type": "start"}),
        data({"type": "RUN_STARTED"}),
        data({"type": "RUN_ERROR"}),
        data({"candidates": ["a", "b"]}),
        data({"candidates": [{"name": "a"}, {"name": "b"}]}),
        data({"candidates": []}),
        data({"error": {"code": 1, "message": "x"}, "usageMetadata": {}}),
        # Of Google's Agent Development Kit.
        data({"content": {"parts": []}, "usageMetadata": {}, "author": "a"}),
        data({"jsonrpc": "1.0", "method": "m"}),
        data({"object": ["chat.completion.chunk"], "choices": []}),
        data({"object": {}, "choices": []}),
    ],
)
def test_what_is_not_of_a_family_is_left_alone(first: bytes) -> None:
    assert of_event(first_of(first, lines=False), lines=False) is None


@pytest.mark.parametrize("first", [{"model": "m"}, {"done": True}, {"error": "x"}])
def test_lines_that_are_not_ollamas_are_left_alone(first: object) -> None:
    assert of_event(first_of(line(first), lines=True), lines=True) is None


def test_the_ai_sdk_names_itself_in_the_head() -> None:
    assert of_fields({b"x-vercel-ai-ui-message-stream": 1}) is named("ai-sdk")
    assert of_fields({b"content-type": 1}) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("before", ["nothing", "a stream"])
def test_a_failure_is_one_whole_event_and_an_error_to_its_family(
    family: ProtocolFamily, before: str
) -> None:
    case = next(
        case
        for case in CASES
        if case.family == family.name
        and case.verdict is TRUNCATED
        and case.name == "cut"
    )
    stream = case.stream if before == "a stream" else b""
    first = first_of(stream, lines=family.lines) if stream else None
    items = seen(stream, 10**9, lines=family.lines).items() if stream else []
    told = family.failure(TOLD, first, items)
    assert told is not None
    recent = seen(stream + told, 1, lines=family.lines)
    assert not recent.open
    assert family.verdict(None, recent.items(), whole=True) is ERROR
    assert len(recent.items()) == min(len(items) + 1, 4)
    assert "the upstream closed early" in recent.items()[-1].data
    assert b"[DONE]" not in told
    assert b"message_stop" not in told


def test_a_response_that_fails_keeps_its_id_and_counts_on() -> None:
    stream = CREATED + responses("response.output_text.delta", 7, delta="x")
    items = seen(stream, 10**9, lines=False).items()
    told = named("openai-responses").failure(TOLD, items[0], items)
    assert told is not None
    name, body = told.removesuffix(b"\n\n").split(b"\n")
    failed = json.loads(body.removeprefix(b"data: "))
    assert name == b"event: response.failed"
    assert failed["sequence_number"] == 8
    assert failed["response"]["id"] == "resp_1"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == "server_error"


def test_what_is_told_of_a_response_is_json_however_odd_its_events_are() -> None:
    """Neither too deep to be written, nor more than may be kept for so long."""
    odd = b"[" * 900 + b"]" * 900 + b',"y":NaN,"z":"' + b"x" * 10_000 + b'"'
    first = CREATED.replace(b'"resp_1"', b'"resp_1","x":' + odd)
    recent = RecentEvents(lines=False)
    recent.observe(first.replace(b": 0", b": " + b"9" * 4300))
    (item,) = recent.items()
    told = named("openai-responses").failure(TOLD, item.outline, [item])
    assert told is not None
    assert len(told) < 1000
    response = json.loads(told.split(b"data: ")[1], parse_constant=pytest.fail)
    assert response["response"]["id"] == "resp_1"


@pytest.mark.parametrize("number", [7, "a-1", 0, ""])
def test_a_json_rpc_request_that_fails_gets_its_response(number: object) -> None:
    told = Told("t", "the reason", "/", {"id": number, "method": "m"})
    items = seen(rpc(method="x"), 10**9, lines=False).items()
    written = named("json-rpc").failure(told, items[0], items)
    assert written is not None
    (item,) = seen(written, 10**9, lines=False).items()
    assert item.members == {
        "jsonrpc": "2.0",
        "id": number,
        "error": {"code": -32000, "message": "the reason"},
    }


@pytest.mark.parametrize(
    "request_",
    [None, [{"id": 1}], {"method": "m"}, {"id": None}, {"id": True}, {"id": [1]}, "x"],
)
def test_one_that_is_not_known_is_aborted(request_: object) -> None:
    told = Told("t", "the reason", "/", request_)
    assert named("json-rpc").failure(told, None, []) is None


def test_a_stream_that_can_be_resumed_is_aborted() -> None:
    """Its client asks again, with the id; an error would be the answer."""
    told = Told("t", "the reason", "/", {"id": 1, "method": "m"})
    stream = b"id: 1\ndata:\n\n" + rpc(method="x")
    items = seen(stream, 10**9, lines=False).items()
    assert named("json-rpc").failure(told, items[0], items) is None
    later = seen(stream + rpc(method="x") * 9, 99, lines=False)
    assert named("json-rpc").failure(told, items[0], later.items()) is None
