"""What an id line in each event does to clients that know of none: nothing."""

from __future__ import annotations

from tests.clients.conftest import Asking
from tests.clients.judged import each_call, each_reader, is_complete
from tests.clients.provider import Provider
from tests.clients.tap import Tap
from tests.conftest import StartProxy
from tests.support.raw import chunk


@each_call
async def test_ids_change_nothing(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    running = await proxy({"/": {"target": provider.url, "resume": {"ids": True}}})
    asked = asking.ask(running.url)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer, answer.pieces)
    await question.finish()
    assert is_complete(asking.client, await asked)


@each_reader
async def test_ids_and_heartbeats_change_nothing(
    asking: Asking, provider: Provider, proxy: StartProxy
) -> None:
    """In lock-step: each piece leaves after two heartbeats have reached the client.

    A decoder of OpenAI's takes a comment behind an id for an event, if a blank line
    follows it. Ours is one line feed.
    """
    route = {
        "target": provider.url,
        "resume": {"ids": True},
        "heartbeat_seconds": 0.05,
    }
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
