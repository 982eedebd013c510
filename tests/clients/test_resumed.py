"""Real clients whose connection is cut: each event comes once.

None of them is told anything: they do what they always do when a connection breaks.
"""

from __future__ import annotations

import pytest

from tests.clients.answers import EVENT_STREAM, Answer
from tests.clients.conftest import Asking
from tests.clients.programs import Told
from tests.clients.provider import Provider, Question
from tests.clients.scissors import LAST_CHUNK, Scissors
from tests.clients.table import BROWSER, CLIENTS, Client
from tests.conftest import StartProxy
from tests.support.raw import chunk
from tests.support.running import RunningProxy

# As they leave the proxy, an event with its id and its chunk is shorter than 80 bytes:
# so each of its bytes is the last of some connection.
CUTS = tuple(range(80))
EACH = 2  # events before each cut: enough for it to fall into them
COUNT = EACH * len(CUTS) + 2  # the first of all, and the last
RETRY = b"retry: 5\n\n"  # an EventSource waits for three seconds otherwise
EVENTS = tuple(b"data: event %d\n\n" % number for number in range(COUNT))
TEXT = " ".join(f"event {number}" for number in range(COUNT))
ANSWER = Answer(EVENT_STREAM, (RETRY, *EVENTS), 0)
PATIENCE = 5


def client_of(driver: str, package: str = "") -> Client:
    """The row of a client."""
    (found,) = (
        each for each in CLIENTS if each.driver == driver and each.package == package
    )
    return found


NATIVE = (client_of(BROWSER), "resumed.eventSource")
FETCH = client_of(BROWSER, "@microsoft/fetch-event-source")
FETCH_GET, FETCH_POST = (FETCH, "resumed.get"), (FETCH, "resumed.post")
HTTPX = (client_of("httpx_client.py", "httpx-sse"), "resumed")
ALL = [NATIVE, FETCH_GET, FETCH_POST, HTTPX]
each_client = pytest.mark.parametrize(
    "asking",
    ALL,
    ids=["EventSource", "fetch GET", "fetch POST", "httpx"],
    indirect=True,
)


async def keeping(proxy: StartProxy, provider: Provider) -> RunningProxy:
    """A proxy that keeps streams, and numbers the events of all."""
    return await proxy({"/": {"target": provider.url, "resume": {"ids": True}}})


async def begun(provider: Provider, pieces: list[bytes]) -> Question:
    """The client's question, once it has seen the first event."""
    question = await provider.question()
    await question.begin(ANSWER, tuple(pieces))
    seen = await provider.question()
    assert seen.asked == {"seen": True}
    await seen.peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    seen.answered.set()
    return question


def takes_ids_early(asking: Asking) -> bool:
    """Is an id the client's before the event is complete to which it belongs?"""
    return asking.client is FETCH


@each_client
async def test_a_stream_cut_at_each_byte_has_each_event_once(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """Each connection ends one byte later than the one before."""
    running = await keeping(proxy, provider)
    early = takes_ids_early(asking)
    async with Scissors(running.port, [], spare_ends=early) as scissors:
        asked = asking.ask(scissors.url, patience=PATIENCE)
        question = await begun(provider, [RETRY, EVENTS[0]])
        scissors.cuts += CUTS
        scissors.cut_all()
        for number in range(len(CUTS)):
            begin = 1 + EACH * number
            await question.peer.send(b"".join(map(chunk, EVENTS[begin : begin + EACH])))
            await scissors.cut_made(number)
        await question.peer.send(chunk(EVENTS[-1]))
        await question.finish()
        assert await asked == Told(TEXT, None, complete=True)
    assert provider.questions.empty()


@each_client
async def test_a_stream_cut_before_its_last_chunk_has_an_end(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """The client has all events, and does not know it. It does not ask for ever."""
    running = await keeping(proxy, provider)
    async with Scissors(running.port, []) as scissors:
        asked = asking.ask(scissors.url, patience=PATIENCE)
        *first, last = ANSWER.pieces
        question = await begun(provider, first)
        scissors.cuts.append(LAST_CHUNK)
        await question.peer.send(chunk(last))
        await question.finish()
        assert await asked == Told(TEXT, None, complete=True)
        assert scissors.made == 1
    assert provider.questions.empty()
