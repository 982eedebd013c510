"""What the events of each family tell of a model's answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from proxy.stream.families import FAMILIES, named
from proxy.stream.family import ProtocolFamily
from proxy.stream.recent_events import KEPT, MOST_BYTES, Item, RecentEvents, read_items
from proxy.timeline import CallTimeline, ModelAnswer
from proxy.transport.family_slot import FamilySlot
from proxy.transport.pipeline import Pipeline
from tests.clients import answers
from tests.clients.answers import Answer, data
from tests.support.trace_records import trace_records

if TYPE_CHECKING:
    from proxy.transport.flow import Sink, Source


def named_event(value: dict[str, object]) -> bytes:
    return b"event: %b\n" % str(value["type"]).encode() + data(value)


def chat(delta: dict[str, object], **more: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    told = {"object": "chat.completion.chunk", "model": "gpt-x", "choices": choices}
    return data({**told, **more})


def told(family: str, *events: bytes) -> ModelAnswer:
    """What is read of a stream whose events are all read."""
    answer, row = ModelAnswer(), named(family)
    assert row.answer is not None
    for item in read_items(events, lines=row.lines):
        row.answer.read(item, answer)
    return answer


def first_token(family: ProtocolFamily, events: tuple[bytes, ...]) -> int | None:
    """The first piece that has output."""
    assert family.answer is not None
    for number, event in enumerate(events):
        if any(map(family.answer.is_token, read_items([event], lines=family.lines))):
            return number
    return None


WHOLE: dict[str, tuple[Callable[[], Answer], str, int | None, int | None, int]] = {
    "openai-chat": (answers.openai_chat, "m", None, None, 1),
    "openai-responses": (answers.openai_responses, "m", None, None, 4),
    "anthropic": (answers.anthropic, "m", 1, 3, 3),
    "gemini": (answers.gemini, "m", None, None, 0),
    "ai-sdk": (answers.ai_sdk, "", None, None, 3),
    "ag-ui": (answers.ag_ui, "", None, None, 2),
    "ollama": (answers.ollama, "m", None, None, 0),
}


@pytest.mark.parametrize("family", WHOLE)
def test_a_whole_answer_of_each_family(family: str) -> None:
    make, model, read, written, first = WHOLE[family]
    pieces = make().pieces
    answer = told(family, *pieces)
    assert (answer.model, answer.input_tokens, answer.output_tokens) == (
        model,
        read,
        written,
    )
    assert first_token(named(family), pieces) == first


def test_every_family_of_models_has_a_row() -> None:
    assert {each.name for each in FAMILIES if each.answer is None} == {"json-rpc"}
    assert {each.name for each in FAMILIES if each.answer is not None} == set(WHOLE)


USAGES = [
    pytest.param(
        "openai-chat",
        [data({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9}})],
        (7, 9),
        id="a last chunk of usage alone",
    ),
    pytest.param(
        "openai-chat",
        [
            chat({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": 1}),
            chat({"content": "b"}, usage=None),
            chat({"content": "c"}, usage={"prompt_tokens": 7, "completion_tokens": 3}),
        ],
        (7, 3),
        id="usage in every chunk: the last counts",
    ),
    pytest.param(
        "openai-chat",
        [chat({}, x_groq={"usage": {"prompt_tokens": 2, "completion_tokens": 4}})],
        (2, 4),
        id="beside the chunk",
    ),
    pytest.param(
        "openai-responses",
        [
            named_event(
                {
                    "type": "response.completed",
                    "response": {"usage": {"input_tokens": 5, "output_tokens": 6}},
                }
            )
        ],
        (5, 6),
        id="of a response",
    ),
    pytest.param(
        "anthropic",
        [
            named_event(
                {
                    "type": "message_start",
                    "message": {
                        "model": "m",
                        "usage": {
                            "input_tokens": 3,
                            "cache_read_input_tokens": 100,
                            "cache_creation_input_tokens": 20,
                            "output_tokens": 1,
                        },
                    },
                }
            ),
            named_event({"type": "message_delta", "usage": {"output_tokens": 42}}),
        ],
        (123, 42),
        id="caches are input, too",
    ),
    pytest.param(
        "gemini",
        [
            data(
                {
                    "candidates": [],
                    "usageMetadata": {
                        "promptTokenCount": 8,
                        "thoughtsTokenCount": 30,
                        "candidatesTokenCount": 4,
                        "totalTokenCount": 42,
                    },
                }
            )
        ],
        (8, 34),
        id="thoughts are output, too",
    ),
    pytest.param(
        "ollama",
        [
            json.dumps(
                {"model": "m", "done": True, "prompt_eval_count": 26, "eval_count": 298}
            ).encode()
            + b"\n"
        ],
        (26, 298),
        id="counts of evaluations",
    ),
    pytest.param(
        "ai-sdk",
        [
            data(
                {
                    "type": "finish",
                    "messageMetadata": {
                        "model": "m",
                        "totalUsage": {"inputTokens": 1, "outputTokens": 2},
                    },
                }
            )
        ],
        (1, 2),
        id="metadata of the application",
    ),
]


@pytest.mark.parametrize(("family", "events", "usage"), USAGES)
def test_usage_is_read(
    family: str, events: list[bytes], usage: tuple[int, int]
) -> None:
    answer = told(family, *events)
    assert (answer.input_tokens, answer.output_tokens) == usage


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(-1, id="negative"),
        pytest.param(2**53, id="more than a number of JavaScript"),
        pytest.param(1.5, id="a fraction"),
        pytest.param(True, id="a boolean"),
        pytest.param("12", id="text"),
        pytest.param(None, id="null"),
        pytest.param([1], id="a list"),
    ],
)
def test_what_is_not_a_number_of_tokens_tells_nothing(count: object) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count}
    answer = told("openai-chat", chat({}, usage=usage))
    assert (answer.input_tokens, answer.output_tokens) == (None, None)
    usage = {"promptTokenCount": count, "candidatesTokenCount": 5}
    answer = told("gemini", data({"candidates": [], "usageMetadata": usage}))
    assert (answer.input_tokens, answer.output_tokens) == (None, 5)


LIES: list[object] = [
    None, 1, "x", [], {}, [None], {"x": [1]}, [{"delta": 1}], [{"content": []}],
    {"usage": 1, "delta": [], "content": {"parts": 1}},
]  # fmt: skip
PLACES = ["choices", "usage", "response", "message", "candidates", "usageMetadata",
          "messageMetadata", "content_block", "delta", "model", "type",
          "x_groq"]  # fmt: skip


@pytest.mark.parametrize("family", WHOLE)
@pytest.mark.parametrize("place", PLACES)
def test_a_family_that_lies_costs_nothing_but_the_figures(
    family: str, place: str
) -> None:
    reader = named(family).answer
    assert reader is not None
    for kind in ("message_start", "content_block_delta", "content_block_start", "x"):
        for value in LIES:
            item = Item(kind, "", "", {place: value})
            reader.read(item, ModelAnswer())
            reader.is_token(item)
    for value in LIES:
        reader.read(Item("message", "", "", value), ModelAnswer())
        reader.is_token(Item("message", "", "", value))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param("m" * 1000, "m" * 128, id="long"),
        pytest.param("a\nb", "", id="control characters"),
        pytest.param("\ud800", "", id="half a character"),
        pytest.param(7, "", id="not text"),
    ],
)
def test_names_of_models_are_bounded(name: object, model: str) -> None:
    assert told("openai-chat", chat({}, model=name)).model == model


def test_a_name_that_comes_late_counts_and_one_that_goes_does_not() -> None:
    """Azure's first chunk has an empty one."""
    events = [chat({}, model=""), chat({}, model="gpt-x"), chat({}, model="other")]
    assert told("openai-chat", *events).model == "gpt-x"


@pytest.mark.parametrize("spaces", ["", " "])
def test_usage_behind_a_response_that_is_too_long_to_keep(spaces: str) -> None:
    """Its text holds what looks like usage, too."""
    text = json.dumps(
        '"usage": {"input_tokens": 1, "output_tokens": 1}' + "x" * 200_000
    )
    usage = f'"usage":{spaces}{{"input_tokens": 11, "output_tokens":{spaces}22}}'
    tools = '[{"usage":{"input_tokens":3,"output_tokens":3}}]'
    response = f'{{"tools":{tools},"output":{text},{usage},"metadata":{{}}}}'
    event = (
        f'data: {{"type":"response.completed","response":{response}}}\n\n'
    ).encode()
    assert len(event) > MOST_BYTES
    recent = RecentEvents(lines=False)
    recent.observe(event)
    (item,) = recent.items()
    answer = ModelAnswer()
    reader = named("openai-responses").answer
    assert reader is not None
    reader.read(item, answer)
    assert (answer.input_tokens, answer.output_tokens) == (11, 22)
    assert len(recent.whole) <= KEPT


@pytest.mark.parametrize(
    ("first", "last", "tokens", "speed"),
    [
        pytest.param(1.0, 3.0, 41, 20.0, id="40 tokens after the first"),
        pytest.param(1.0, 1.0, 41, None, id="all at once"),
        pytest.param(1.0, 3.0, 1, None, id="one token"),
        pytest.param(1.0, 3.0, 0, None, id="none"),
        pytest.param(1.0, 3.0, None, None, id="nobody says how many"),
        pytest.param(None, 3.0, 41, None, id="no first token was seen"),
        pytest.param(1.0, None, 41, None, id="it has not ended"),
    ],
)
def test_the_speed_is_that_of_the_tokens_after_the_first(
    first: float | None, last: float | None, tokens: int | None, speed: float | None
) -> None:
    answer = ModelAnswer()
    answer.first_token, answer.last_piece = first, last
    answer.output_tokens = tokens
    assert answer.tokens_per_second == speed


@pytest.mark.parametrize(
    ("trace", "first"),
    [
        pytest.param("haproxy-rhythm", 0.202453, id="pieces of whole events"),
        pytest.param("nginx-blocks", 2.976872, id="blocks that end inside of events"),
        pytest.param("nginx-post", 2.977512, id="the same of a POST"),
    ],
)
def test_the_first_token_in_what_real_servers_sent(trace: str, first: float) -> None:
    """The events of a piece that ends inside of one are read with what follows."""
    account = CallTimeline(0.0)
    pipeline = Pipeline(cast("Source", None), cast("Sink", None))
    slot = FamilySlot(pipeline, account, lines=False, family=None)
    for piece in trace_records()[trace].response_pieces:
        account.piece_read(piece.at / 1e6)
        slot.passed(piece.data)
    slot.verdict(whole=True)
    answer = account.answer
    assert answer is not None
    assert answer.first_token == first
    assert answer.last_piece == account.last_piece
    assert (answer.model, answer.output_tokens) == ("", None)
