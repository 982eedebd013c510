"""What each provider's stream looks like on the wire: the events of one answer.

Written from the providers' documentation. Every answer says TEXT in three parts,
so that it can be cut with a part said and a part missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("Hel", "lo, ", "world")
TEXT = "".join(PARTS)

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Answer:
    """The pieces of one answer, and after how many of them the first part is said."""

    content_type: str
    pieces: tuple[bytes, ...]
    cut: int

    @property
    def head(self) -> bytes:
        lines = f"HTTP/1.1 200 OK\r\nContent-Type: {self.content_type}\r\n"
        return lines.encode() + b"Transfer-Encoding: chunked\r\n\r\n"

    @property
    def before_cut(self) -> tuple[bytes, ...]:
        return self.pieces[: self.cut]

    @property
    def half(self) -> bytes:
        """A part of the event that follows the cut."""
        following = self.pieces[self.cut]
        return following[: len(following) // 2]


def data(value: object) -> bytes:
    """An event that has data only."""
    return b"data: %b\n\n" % json.dumps(value).encode()


def named(value: Mapping[str, object]) -> bytes:
    """An event named like the type of its data."""
    return b"event: %b\n" % str(value["type"]).encode() + data(value)


def openai_chat() -> Answer:
    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return data(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    said = [chunk({"content": part}) for part in PARTS]
    opening = chunk({"role": "assistant", "content": ""})
    pieces = (opening, *said, chunk({}, "stop"), b"data: [DONE]\n\n")
    return Answer(EVENT_STREAM, pieces, 2)


def openai_responses() -> Answer:
    def response(status: str, output: list[object]) -> dict[str, object]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": "m",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def item(status: str, content: list[object]) -> dict[str, object]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def part(text: str) -> dict[str, object]:
        return {"type": "output_text", "text": text, "annotations": []}

    place: dict[str, object] = {
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
    }
    done = item("completed", [part(TEXT)])
    events: list[Mapping[str, object]] = [
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item("in_progress", []),
        },
        {"type": "response.content_part.added", **place, "part": part("")},
        *(
            {
                "type": "response.output_text.delta",
                **place,
                "delta": said,
                "logprobs": [],
            }
            for said in PARTS
        ),
        {
            "type": "response.output_text.done",
            **place,
            "text": TEXT,
            "logprobs": [],
        },
        {"type": "response.content_part.done", **place, "part": part(TEXT)},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": response("completed", [done])},
    ]
    numbered = [{**event, "sequence_number": n} for n, event in enumerate(events)]
    return Answer(EVENT_STREAM, tuple(named(event) for event in numbered), 5)


def anthropic() -> Answer:
    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    events: list[Mapping[str, object]] = [
        {"type": "message_start", "message": message},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": part},
            }
            for part in PARTS
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    return Answer(EVENT_STREAM, tuple(named(event) for event in events), 4)


def gemini() -> Answer:
    def chunk(text: str, finish: str | None = None) -> bytes:
        candidate: dict[str, object] = {
            "content": {"parts": [{"text": text}], "role": "model"},
            "index": 0,
        }
        if finish:
            candidate["finishReason"] = finish
        return data({"candidates": [candidate], "modelVersion": "m"})

    *first, last = PARTS
    return Answer(
        EVENT_STREAM, (*(chunk(part) for part in first), chunk(last, "STOP")), 1
    )


def ai_sdk() -> Answer:
    events: list[Mapping[str, object]] = [
        {"type": "start", "messageId": "1"},
        {"type": "start-step"},
        {"type": "text-start", "id": "t"},
        *({"type": "text-delta", "id": "t", "delta": part} for part in PARTS),
        {"type": "text-end", "id": "t"},
        {"type": "finish-step"},
        {"type": "finish"},
    ]
    pieces = (*(data(event) for event in events), b"data: [DONE]\n\n")
    return Answer(EVENT_STREAM + "\r\nx-vercel-ai-ui-message-stream: v1", pieces, 4)


def ag_ui() -> Answer:
    events: list[Mapping[str, object]] = [
        {"type": "RUN_STARTED", "threadId": "thread", "runId": "run"},
        {"type": "TEXT_MESSAGE_START", "messageId": "1", "role": "assistant"},
        *(
            {"type": "TEXT_MESSAGE_CONTENT", "messageId": "1", "delta": part}
            for part in PARTS
        ),
        {"type": "TEXT_MESSAGE_END", "messageId": "1"},
        {"type": "RUN_FINISHED", "threadId": "thread", "runId": "run"},
    ]
    return Answer(EVENT_STREAM, tuple(data(event) for event in events), 3)


def ollama() -> Answer:
    def line(text: str, done: bool = False) -> bytes:
        value: dict[str, object] = {
            "model": "m",
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text},
            "done": done,
        }
        if done:
            value["done_reason"] = "stop"
        return json.dumps(value).encode() + b"\n"

    said = tuple(line(part) for part in PARTS)
    return Answer("application/x-ndjson", (*said, line("", done=True)), 1)


def plain() -> Answer:
    """An event stream of no known family; its events say where they are."""
    events = (b"id: %d\ndata: %b\n\n" % (n, p.encode()) for n, p in enumerate(PARTS))
    return Answer(EVENT_STREAM, tuple(events), 1)


def mcp(asked: object = 1, *, resumable: bool = False) -> Answer:
    """The stream of one tool call, whose request has the id `asked`."""
    progress: dict[str, object] = {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "data": "working"},
    }
    result: dict[str, object] = {
        "jsonrpc": "2.0",
        "id": asked,
        "result": {
            "content": [{"type": "text", "text": TEXT}],
            "isError": False,
            "resultType": "complete",
        },
    }
    pieces = [b"event: message\n" + data(value) for value in (progress, result)]
    if not resumable:
        return Answer(EVENT_STREAM, tuple(pieces), 1)
    numbered = (b"id: %d\n%b" % (n, piece) for n, piece in enumerate(pieces, 1))
    return Answer(EVENT_STREAM, (b"id: 0\nretry: 10\ndata: \n\n", *numbered), 2)
