"""Real clients behind the proxy: a cut answer is an error, a whole one is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.clients.answers import TEXT, mcp
from tests.clients.conftest import PATIENCE, Asking
from tests.clients.judged import (
    CALLS,
    READERS,
    RESUMING,
    each_call,
    each_reader,
    is_complete,
    is_error,
    name,
)
from tests.clients.programs import Driver
from tests.clients.provider import Provider, Question
from tests.clients.table import Client
from tests.clients.tap import Tap
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import became, chunk, idle
from tests.support.running import RunningProxy

DRAIN_SECONDS = 10  # those of the injected clock
IDLE_SECONDS = 30
EARLY = {"heartbeat_seconds": 0.05, "heartbeat_before_head": True}
MODELS = ("openai-chat", "openai-responses", "anthropic")
# Who asks for an event stream by Accept, by `"stream": true`, or in the path.
STARTING_EARLY = [case for case in READERS if case[0].family != "ai-sdk"]
REFUSALS = [
    b'{"type":"error","error":{"type":"limit","message":"too many of them"}}',
    b"<html>wait</html>",
]


class Cut:
    """A stream through the proxy that ends too early, in one of several ways."""

    def __init__(
        self, running: RunningProxy, question: Question, clock: ManualClock
    ) -> None:
        self.running = running
        self.question = question
        self.clock = clock
        self.stopped: asyncio.Future[int] | None = None

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running.tick()

    async def upstream_dies(self) -> None:
        self.question.peer.close()

    async def upstream_falls_silent(self) -> None:
        self.pass_time(IDLE_SECONDS + 1)

    async def proxy_stops(self) -> None:
        stopping = self.running.server.stop(DRAIN_SECONDS)
        self.stopped = asyncio.ensure_future(stopping)
        await became(lambda: bool(self.running.server.last))
        self.pass_time(DRAIN_SECONDS + 1)
        await idle()
        if self.running.server.exchanges:  # inside an event: its last moment is over
            self.pass_time(1)


@dataclass(frozen=True)
class Case:
    """One test: who asks how, and how the answer is cut."""

    client: Client
    call: str
    way: str
    ends_in: str = "event"
    inside: bool = False

    @property
    def id(self) -> str:
        place = "inside an event" if self.inside else "between events"
        return f"{self.client.name}-{self.call}-{self.way}-{place}-{self.ends_in}"

    @property
    def is_told(self) -> bool:
        """Does the client get the failure event?"""
        if self.ends_in == "abort" or self.inside:
            return False
        # A proxy that stops breaks the connection behind the event.
        return not (self.client.drops and self.way == "proxy stops")


WAYS = {
    "upstream dies": (Cut.upstream_dies, "closed early"),
    "upstream is silent": (Cut.upstream_falls_silent, "idle_timeout_seconds"),
    "proxy stops": (Cut.proxy_stops, "shutting down"),
}


def cases() -> Iterator[Case]:
    """Each way for each client; for its further calls, which share it, the first."""
    for client, call in CALLS:
        if call != client.calls[0]:
            yield Case(client, call, "upstream dies")
            continue
        for way in WAYS:
            yield Case(client, call, way)
            yield Case(client, call, way, inside=True)
            yield Case(client, call, way, ends_in="abort")


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.id)
async def test_an_answer_that_is_cut_is_an_error(
    case: Case,
    drivers: Callable[[Client], Driver],
    provider: Provider,
    proxy: StartProxy,
    clock: ManualClock,
) -> None:
    client = case.client
    asking = Asking(client, case.call, drivers(client))
    route = {
        "target": provider.url,
        "on_upstream_failure": case.ends_in,
        "idle_timeout_seconds": IDLE_SECONDS,
    }
    running = await proxy({"/": route}, clock=clock)
    asked = asking.ask(running.url, patience=PATIENCE if case.is_told else client.rests)
    question = await provider.question()
    answer = question.answer(client)
    pieces = answer.before_cut + ((answer.half,) if case.inside else ())
    await question.begin(answer, pieces)
    exchange = await running.exchange()
    sent = sum(map(len, pieces))
    await became(lambda: exchange.timeline.bytes_sent >= sent)
    cut = Cut(running, question, clock)
    way, words = WAYS[case.way]
    await way(cut)
    told = await asked
    if way is Cut.proxy_stops and client.reads:
        # It reads on elsewhere, after a clean end between two events.
        assert TEXT.startswith(told.text)
        assert told.text != TEXT
    else:
        assert is_error(told)
        assert told.error is not None
        assert not case.is_told or words in told.error
        expected = client.on_event if case.is_told else client.on_abort
        assert told.error.partition(":")[0] in expected
    if cut.stopped is not None:
        await cut.stopped


@each_call
async def test_a_complete_answer_is_complete(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    route = {"target": provider.url, "on_upstream_failure": "event"}
    running = await proxy({"/": route})
    asked = asking.ask(running.url)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer, answer.pieces)
    await question.finish()
    assert is_complete(asking.client, await asked)


@pytest.mark.parametrize("asking", RESUMING, ids=name, indirect=True)
async def test_a_call_that_can_be_resumed_is_resumed_and_not_failed(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """MCP until 2025-11-25: a client that has an id asks with it for the rest."""
    route = {"target": provider.url, "on_upstream_failure": "event"}
    running = await proxy({"/": route})
    asked = asking.ask(running.url)
    question = await provider.question()
    answer = mcp(question.asked["id"], resumable=True)
    await question.begin(answer, answer.before_cut)
    question.peer.close()
    again = await provider.question()
    assert again.method == "GET"
    await again.begin(answer, answer.pieces[answer.cut :])
    await again.finish()
    assert is_complete(asking.client, await asked)


@each_reader
async def test_heartbeats_change_nothing(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """In lock-step: each piece leaves after two heartbeats have reached the client."""
    route = {"target": provider.url, "heartbeat_seconds": 0.05}
    running = await proxy({"/": route})
    async with Tap(running.port) as tap:
        asked = asking.ask(tap.url)
        question = await provider.question()
        answer = question.answer(asking.client)
        await question.begin(answer)
        for piece in answer.pieces:
            await tap.beaten(2)
            await question.peer.send(chunk(piece))
        await question.finish()
        assert is_complete(asking.client, await asked)


@pytest.mark.parametrize("asking", STARTING_EARLY, ids=name, indirect=True)
async def test_a_client_waits_for_a_model_that_thinks(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """The upstream's head leaves after three heartbeats have reached the client."""
    running = await proxy({"/": {"target": provider.url, **EARLY}})
    async with Tap(running.port) as tap:
        asked = asking.ask(tap.url)
        question = await provider.question()
        await tap.beaten(3)
        answer = question.answer(asking.client)
        await question.begin(answer, answer.pieces)
        await question.finish()
        assert is_complete(asking.client, await asked)


@pytest.mark.parametrize("body", REFUSALS, ids=["an error", "a page"])
@pytest.mark.parametrize("asking", STARTING_EARLY, ids=name, indirect=True)
async def test_a_refusal_behind_heartbeats_is_an_error(
    asking: Asking, provider: Provider, proxy: StartProxy, body: bytes
) -> None:
    running = await proxy({"/": {"target": provider.url, **EARLY}})
    async with Tap(running.port) as tap:
        asked = asking.ask(tap.url)
        question = await provider.question()
        await tap.beaten(1)
        head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n"
        await question.peer.send(head % len(body) + body)
        told = await asked
    assert is_error(told)
    assert told.error is not None
    if body is REFUSALS[0] and asking.client.family in MODELS:
        assert "too many of them" in told.error
