"""The inspector's pure modules beside its parsers, in the browser that runs them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.feed import modules_page, run

if TYPE_CHECKING:
    from playwright.async_api import Page

# One browser for all: nothing here leaves anything behind in its page.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page() -> AsyncIterator[Page]:
    async with modules_page() as started:
        yield started


# -- answers in deltas


NONE = "\N{EN DASH}"


def chat(**delta: object) -> object:
    return {"choices": [{"index": 0, "delta": delta}]}


def block(index: int, **delta: object) -> object:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def begun(index: int, **content: object) -> object:
    return {"type": "content_block_start", "index": index, "content_block": content}


CALL = {"index": 0, "function": {"name": "add", "arguments": '{"a":'}}
REST = {"index": 0, "function": {"arguments": "1}"}}
CHOICES = [{"index": 0, "text": "a"}, {"index": 1, "text": "b"}]
ANSWERS: dict[str, tuple[list[object], list[list[str]]]] = {
    "OpenAI chat": (
        [
            chat(role="assistant", content=""),
            chat(reasoning_content="Hm"),
            chat(content="Hel"),
            chat(content="lo"),
            chat(tool_calls=[CALL]),
            chat(tool_calls=[REST]),
            {"choices": [], "usage": {"total_tokens": 3}},
        ],
        [["reasoning", "Hm"], ["answer", "Hello"], ["call 1", 'add {"a":1}']],
    ),
    "OpenAI completions": (
        [{"choices": CHOICES}],
        [["answer", "a"], ["choice 2: answer", "b"]],
    ),
    "OpenAI responses": (
        [
            {"type": "response.created", "response": {}},
            {"type": "response.reasoning_summary_text.delta", "delta": "Why"},
            {"type": "response.output_text.delta", "delta": "Hel"},
            {"type": "response.output_text.delta", "delta": "lo"},
            {
                "type": "response.function_call_arguments.delta",
                "delta": "{}",
                "output_index": 1,
            },
            {"type": "response.output_text.done", "text": "Hello"},
        ],
        [["reasoning", "Why"], ["answer", "Hello"], ["call 2", "{}"]],
    ),
    "Anthropic": (
        [
            {"type": "message_start", "message": {"content": []}},
            begun(0, type="thinking", thinking=""),
            block(0, type="thinking_delta", thinking="Let"),
            begun(1, type="text", text=""),
            block(1, type="text_delta", text="Hi"),
            begun(2, type="tool_use", name="add"),
            block(2, type="input_json_delta", partial_json="{}"),
            {"type": "message_stop"},
        ],
        [["reasoning", "Let"], ["answer", "Hi"], ["call 3", "add {}"]],
    ),
    "Ollama": (
        [
            {"message": {"content": "a"}, "done": False},
            {"response": "b", "done": False},
        ],
        [["answer", "ab"]],
    ),
    "Gemini": (
        [{"candidates": [{"content": {"parts": [{"text": "a"}, {"text": "b"}]}}]}],
        [["answer", "ab"]],
    ),
    "only its names": (
        [
            {"choices": [None, 5, {"delta": {"tool_calls": {"a": 1}}}]},
            {"choices": [{"delta": {"tool_calls": [None]}}]},
            {"type": "content_block_delta", "delta": None},
            {"type": "constructor", "delta": "a"},
            {"candidates": [{"content": {"parts": {}}}]},
        ],
        [],
    ),
    "no model": ([{"value": 1}, [1], "text", None, {"type": "tick"}], []),
}


async def test_deltas_are_joined_into_the_running_text(page: Page) -> None:
    read = await run(
        page,
        "decode/deltas.js",
        """return given.map((values) => {
            const joined = new m.Joiner();
            values.flatMap(m.deltas).forEach((each) => joined.add(each));
            return joined.parts.map(({ channel, text }) => [channel, text]);
        });""",
        [values for values, _ in ANSWERS.values()],
    )
    told = dict(zip(ANSWERS, read, strict=True))
    assert told == {name: expected for name, (_, expected) in ANSWERS.items()}


async def test_running_text_is_bounded(page: Page) -> None:
    read = await run(
        page,
        "decode/deltas.js",
        """const joined = new m.Joiner(10);
        const channel = "answer";
        for (const text of ["12345678", "90ab", "c"]) joined.add({ channel, text });
        return [joined.parts[0].text, joined.dropped];""",
    )
    assert read == ["1234567890", 3]


# -- fields, curl


async def test_fields_are_compared_line_by_line(page: Page) -> None:
    received = [["Host", "a"], ["Via", "1.1 x"], ["Via", "1.1 y"], ["Te", "trailers"]]
    sent = [["host", "b"], ["Via", "1.1 y"], ["Via", "1.1 z"], ["X-New", "1"]]
    rows = await run(
        page,
        "stream/field_diff.js",
        """return m.compare(...given).map(({ kind, name, before, after }) =>
            [kind, name, before, after]);""",
        [received, sent],
    )
    assert rows == [
        ["changed", "Host", "a", "b"],
        ["changed", "Via", "1.1 x", "1.1 z"],
        ["same", "Via", "1.1 y", "1.1 y"],
        ["removed", "Te", "trailers", None],
        ["added", "X-New", None, "1"],
    ]


def words_of(command: str) -> list[str]:
    """The arguments that a shell gives to curl."""
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}\n"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return shell.stdout.decode().split("\0")[:-1]


async def test_curl_is_one_command_for_a_shell(page: Page) -> None:
    body = json.dumps({"text": "it's\n$HOME `x` \\ 你"}, ensure_ascii=False)
    made = await run(
        page,
        "stream/curl_command.js",
        "return m.curl({ ...given, body: new TextEncoder().encode(given.body) });",
        {
            "method": "POST",
            "target": "/v1/chat?a=[1]&token=****",
            "origin": "http://localhost:8080",
            "body": body,
            "fields": [
                ["Host", "localhost:8080"],
                ["Content-Length", "40"],
                ["Accept-Encoding", "gzip, br"],
                ["Authorization", "Bearer ****"],
                ["Cookie", "sid=****; theme=****"],
                ["X-Stars", "*****"],
                ["X-Empty", ""],
                ["X-Quote", "'\"!"],
            ],
        },
    )
    assert words_of(made["command"]) == [
        "-N", "-g",
        "http://localhost:8080/v1/chat?a=[1]&token=****",
        "-H", "Authorization: Bearer ****",
        "-H", "Cookie: sid=****; theme=****",
        "-H", "X-Stars: *****",
        "-H", "X-Empty;",
        "-H", "X-Quote: '\"!",
        "--compressed",
        "--data-raw", body,
    ]  # fmt: skip
    assert made["masked"] == ["the query", "Authorization", "Cookie"]
    assert made["note"] is None


async def test_curl_says_what_it_cannot_repeat(page: Page) -> None:
    made = await run(
        page,
        "stream/curl_command.js",
        """return [
            m.curl({ ...given, body: Uint8Array.of(0, 255) }),
            m.curl({ ...given, body: null, bodyComplete: false }),
        ].map(({ command, note }) => [command, note]);""",
        {"method": "PUT", "target": "/", "origin": "http://h", "fields": []},
    )
    put = ["-N", "-X", "PUT", "http://h/"]
    assert [(words_of(command), note) for command, note in made] == [
        (
            [*put, "--data-binary", "@request.bin"],
            "the request body is binary: save it as request.bin",
        ),
        (put, "the request body was not recorded completely, so it is omitted"),
    ]


# -- bounds, numbers, words


async def test_list_is_bounded_by_count_and_by_weight(page: Page) -> None:
    read = await run(
        page,
        "stream/bounded_list.js",
        """const many = new m.BoundedList({ most: 100 });
        for (let each = 0; each < 1000; each += 1) many.push(each);
        const weigh = (each) => each;
        const heavy = new m.BoundedList({ most: 100, heaviest: 50, weigh });
        for (let each = 0; each < 30; each += 1) heavy.push(10);
        return [
            [many.size <= 100, many.end, many.get(999), many.get(0) ?? null],
            many.get(many.first) === many.first,
            [heavy.weight, heavy.size, heavy.end],
        ];""",
    )
    assert read == [[True, 1000, 999, None], True, [40, 4, 30]]


async def test_numbers_are_short_and_say_enough(page: Page) -> None:
    read = await run(
        page,
        "web/quantities.js",
        """return [
            [null, 0, 0.0002, 0.34, 0.9996, 3.4219, 59.97, 11525].map(m.duration),
            [null, 0, 999, 1000, 99_960, 1_234_567].map(m.bytes),
        ];""",
    )
    assert read == [
        [NONE, "0 ms", "0.2 ms", "340 ms", "1.00 s", "3.42 s", "0:59", "3:12:05"],
        [NONE, "0 B", "999 B", "1.0 kB", "100 kB", "1.2 MB"],
    ]  # fmt: skip


async def test_the_list_says_how_a_stream_ended_by_its_own_events(page: Page) -> None:
    rows: list[dict[str, object]] = [
        {"verdict": "truncated", "family": "openai-chat", "ending": "complete"},
        {"verdict": "error", "family": "anthropic", "ending": "complete"},
        {"verdict": "complete", "family": "ollama", "ending": "complete"},
        {"verdict": None, "ending": "client left"},
        {"verdict": "truncated", "family": "x", "ending": "x", "error": "it broke"},
    ]
    read = await run(
        page,
        "list/columns.js",
        """const column = m.COLUMNS.find(({ key }) => key === "ending");
        return given.map((row) => column.text({ row, isOpen: false }));""",
        rows,
    )
    assert read == [
        "truncated, openai-chat",
        "error, anthropic",
        "complete",
        "client left",
        "it broke",
    ]


async def test_the_answer_of_a_model_is_told_in_short_and_in_full(page: Page) -> None:
    whole = {
        "model": "gpt-x", "first_token": 1.5, "input_tokens": 12,
        "output_tokens": 1234, "tokens_per_second": 56.14,
    }  # fmt: skip
    nothing = dict.fromkeys(whole)
    answers = [whole, {**nothing, "model": "m"}, {**nothing, "input_tokens": 0}, None]
    read = await run(
        page,
        "web/model_answer.js",
        "return given.map((each) => [m.inShort(each), m.tokens(each)]);",
        answers,
    )
    assert read == [
        ["gpt-x, 1,234 tokens, 56.1/s", "12 in, 1,234 out"],
        ["m", None],
        ["", "0 in"],
        ["", None],
    ]


async def test_verdict_names_who_was_slow(page: Page) -> None:
    plain = {
        "phase": "relaying", "pieces": 9, "bytes": 900, "longest_gap": 1.0,
        "longest_hold": 0.0003, "holding": None, "error": None,
    }  # fmt: skip
    cases: list[tuple[dict[str, object], str, str]] = [
        ({}, "good", "Every piece was forwarded within 0.3 ms: 9 pieces, 900 B."),
        ({"longest_gap": 7.0}, "wait", "the gap of 7.00 s comes from the upstream"),
        (
            {"bursts": "8 events in 2 bursts", "longest_gap": 7.0},
            "wait",
            "within 0.3 ms; the upstream itself sends in bursts: 8 events in 2 bursts.",
        ),
        ({"holding": 2.0}, "bad", "data has been waiting for 2.00 s"),
        (
            {"longest_hold": 2.0},
            "bad",
            "a piece waited up to 2.00 s",
        ),
        ({"phase": "waiting"}, "wait", "Waiting for the upstream's first byte."),
        ({"error": "upstream 'x' broke"}, "bad", "Upstream 'x' broke."),
        (
            {"family": "openai-chat", "verdict": "truncated"},
            "bad",
            "without the end that openai-chat has",
        ),
        ({"verdict": "error"}, "bad", "told of an error inside the stream"),
        ({"family": "ollama", "verdict": "complete"}, "good", "within 0.3 ms"),
    ]
    verdicts = await run(
        page,
        "stream/stream_verdict.js",
        "return given.map((row) => m.judge(row, 5));",
        [plain | changes for changes, _, _ in cases],
    )
    for verdict, (_, kind, words) in zip(verdicts, cases, strict=True):
        assert verdict["kind"] == kind
        assert words in verdict["text"]


async def test_gaps_and_ticks_of_the_waterfall(page: Page) -> None:
    read = await run(
        page,
        "stream/time_axis.js",
        """return [
            m.gaps([1, 1.5, 6, 6.1], 2, 0, 9),
            m.gaps([3, 4], 2, 0, null),
            m.lanes([
                { side: "response", arrived: 1, sent: 3 },
                { side: "request", arrived: 2, sent: 2.5 },
                { side: "response", arrived: 2, sent: null },
                { side: "response", own: true, arrived: 9, sent: 9 },
            ]),
            m.longestGap([1, 1.5, 6, 6.1]),
            m.ticks(0, 10, 1000).at,
            [0, 1, 2, 3].map((time) =>
                m.nearest(5, 9, (index) => [0, 0.9, 2.6, 3][index - 5], time)),
            m.nearest(0, 0, () => 0, 1),
        ];""",
    )
    assert read == [
        [[1.5, 6], [6.1, 9]],
        [[0, 3]],
        {"up": [1, 2, 2.5], "down": [2, 3]},
        [1.5, 6],
        list(range(11)),
        [5, 6, 7, 8],
        None,
    ]


FIRST: dict[str, object] = {
    "exchange": "0-1", "client": "::1", "way": "first", "from": 0, "began": 1,
    "ended": 3, "bytes": 40, "ending": "client left",
}  # fmt: skip
SECOND: dict[str, object] = {
    "exchange": None, "client": "::1", "way": "event_id", "from": 40, "began": 7,
    "ended": None, "bytes": 2000, "ending": None,
}  # fmt: skip
CONNECTIONS = [FIRST, SECOND]


def kept(**changes: object) -> dict[str, object]:
    """A stream of the feed: two connections, the second of which is open."""
    return {
        "id": "0-1a2b3c4d",
        "state": "running",
        "kept": True,
        "age": 8,
        "at": 100,
        "started": 5,
        "ended": None,
        "goes": None,
        "bytes": 2040,
        "first": 0,
        "clients": 1,
        "visits": 2,
        "connections": CONNECTIONS,
    } | changes


async def test_each_connection_of_a_kept_stream_is_a_line_on_its_time(
    page: Page,
) -> None:
    ended = kept(ended=4, state="truncated")
    ended["connections"] = CONNECTIONS[:1]
    running, over = await run(
        page,
        "stream/connection_rows.js",
        """return given.map(([stream, elapsed]) =>
            m.connectionRows(stream, elapsed).map(
              ({ label, words, left, width, open }) => [label, words, left, width, open]
            ));""",
        [[kept(), 2], [ended, 9]],
    )
    assert running == [
        ["upstream", "running", 0, 1, True],
        ["::1", "asked for it, 40 B, 2.00 s, client left", 0.1, 0.2, False],
        ["::1", "resumed by event id, 2.0 kB from byte 40, 3.00 s, open", 0.7, 0.3,
         True],
    ]  # fmt: skip
    assert over == [
        ["upstream", "truncated after 4.00 s", 0, 1, False],
        ["::1", "asked for it, 40 B, 2.00 s, client left", 0.25, 0.5, False],
    ]


async def test_a_kept_stream_says_what_it_waits_for(page: Page) -> None:
    streams = [
        kept(),
        kept(clients=0, goes=60),
        kept(clients=0),
        kept(state="complete", goes=60),
        kept(state="lost", goes=1),
        kept(clients=0, readers=2),
        kept(followed=True),
    ]
    told = await run(
        page,
        "list/kept_streams.js",
        """return given.map((each) => [
          m.standing(each, 110), m.mark(each), m.placeOf(each), m.clientsOf(each),
        ]);""",
        streams,
    )
    here = ["", "0 of 2"]
    assert told == [
        ["running", "good", "", "1 of 2"],
        ["running without a client, 50.0 s left", "wait", *here],
        ["running without a client", "wait", *here],
        ["complete, kept for 50.0 s", "soft", "", "1 of 2"],
        ["lost, kept for 0 ms", "bad", "", "1 of 2"],
        ["running", "good", "", "0 of 2, 2 other processes"],
        ["running", "good", "from the store", "1 of 2"],
    ]


async def test_kept_streams_come_change_and_go(page: Page) -> None:
    old, new = kept(), kept(id="0-2", started=6)
    over = kept(id="0-3", started=9, state="complete")
    read = await run(
        page,
        "list/kept_streams.js",
        """const streams = new m.KeptStreams();
        const ids = () => streams.sorted.map(({ id }) => id);
        const told = given.map((event) => {
          streams.apply(event, 1);
          return [ids(), streams.more];
        });
        streams.clear();
        return [...told, [ids(), streams.more]];""",
        [
            {"worker": 0, "streams": [old, over, new], "gone": [], "more": 3},
            {"worker": 1, "streams": [], "gone": ["0-2"], "more": 2},
        ],
    )
    assert read == [
        [["0-2", "0-1a2b3c4d", "0-3"], 3],
        [["0-1a2b3c4d", "0-3"], 5],
        [[], 0],
    ]
