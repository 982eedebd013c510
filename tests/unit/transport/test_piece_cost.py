"""How many steps a piece takes, plain and kept; counted, so that no load changes it.

A bound may be raised, by who says what it is for.
"""

from __future__ import annotations

import pytest

from proxy.config.kept_options import Resume, Share
from proxy.config.model import Config, InspectorOptions, Recording
from proxy.config.route import Route
from proxy.config.target import parse_target
from tests.conftest import ManualClock
from tests.support.memory import MemoryProxy
from tests.support.steps import calls, steps

EVENTS = (
    b"GET /events?n=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"Accept: text/event-stream\r\nUser-Agent: x/1\r\n\r\n"
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
)
TARGET = (parse_target("http://127.0.0.1:1"),)
PLAIN = Route(prefix="/", targets=TARGET)
KEPT = Route(prefix="/", targets=TARGET, resume=Resume(ids=False))
NUMBERED = Route(prefix="/", targets=TARGET, resume=Resume(ids=True))
SHARED = Route(prefix="/", targets=TARGET, share=Share())
# Steps and calls as counted in Python 3.11, which has the most of each, and a few.
LINES = STREAM.replace(b"text/event-stream", b"application/x-ndjson")
OPENAI = (
    b'{"object": "chat.completion.chunk", "choices": [{"delta": {"content": "x"}}]}'
)
# What a piece takes beside that, if it is recorded.
RECORDED, KEPT_RECORDED = (180, 4), (300, 9)
NAMED = b"event: tick\ndata: 12345"  # of two lines


@pytest.mark.parametrize("record", ["off", "streams"])
@pytest.mark.parametrize(
    ("route", "head", "event", "most_steps", "most_calls"),
    [
        pytest.param(PLAIN, STREAM, b"data: %b" % OPENAI[:9], 135, 2, id="plain"),
        pytest.param(KEPT, STREAM, b"data: %b" % OPENAI[:9], 230, 3, id="kept"),
        pytest.param(SHARED, STREAM, b"data: %b" % OPENAI[:9], 230, 3, id="shared"),
        pytest.param(NUMBERED, STREAM, b"data: %b" % OPENAI[:9], 250, 3, id="numbered"),
        pytest.param(KEPT, STREAM, NAMED, 265, 4, id="kept, of two lines"),
        pytest.param(PLAIN, LINES, b'{"x": "y"}', 135, 2, id="lines"),
        pytest.param(KEPT, LINES, b'{"x": "y"}', 230, 3, id="kept lines"),
        pytest.param(PLAIN, STREAM, b"data: %b" % OPENAI, 285, 9, id="of a family"),
        pytest.param(
            KEPT, STREAM, b"data: %b" % OPENAI, 365, 7, id="kept, of a family"
        ),
    ],
)
async def test_a_piece_takes_few_steps(
    route: Route,
    head: bytes,
    event: bytes,
    most_steps: int,
    most_calls: int,
    record: Recording,
    clock: ManualClock,
) -> None:
    """And if it is recorded, some more. No piece takes longer than one before it."""
    if record == "streams":
        more_steps, more_calls = RECORDED if route is PLAIN else KEPT_RECORDED
        most_steps, most_calls = most_steps + more_steps, most_calls + more_calls
    inspector = InspectorOptions(record=record)
    served = MemoryProxy(Config(routes={"/": route}, inspector=inspector), clock)
    client = served.client
    client.receive(EVENTS)
    (upstream,) = served.open_upstreams
    upstream.receive(head)
    event += b"\n" if head is LINES else b"\n\n"
    piece = b"%x\r\n%b\r\n" % (len(event), event)

    def relay() -> None:
        upstream.receive(piece)

    for _ in range(9):
        relay()
    client.written = b""
    counted = [steps(relay) for _ in range(9)]
    assert sorted(counted)[4] < most_steps  # one in a dozen counts memory
    assert min(calls(relay) for _ in range(9)) <= most_calls
    assert client.written.count(event[:-1]) == 18
    served.stop()
