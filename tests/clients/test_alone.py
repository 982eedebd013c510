"""What the clients make of a stream without a proxy: the ground that rules stand on."""

from __future__ import annotations

import pytest

from tests.clients.answers import TEXT
from tests.clients.conftest import Asking
from tests.clients.judged import each_call, each_reader, is_complete, is_error
from tests.clients.provider import Provider
from tests.support.raw import chunk


@each_call
async def test_a_complete_answer_is_complete(
    asking: Asking, provider: Provider
) -> None:
    asked = asking.ask(provider.url)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer, answer.pieces)
    await question.finish()
    assert is_complete(asking.client, await asked)


@each_reader
async def test_comments_of_one_line_feed_change_nothing(
    asking: Asking, provider: Provider
) -> None:
    asked = asking.ask(provider.url)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer)
    # A client of Gemini takes a comment for data; to it a blank line is nothing.
    beat = chunk(b"\n" if asking.client.family == "gemini" else b":\n")
    for piece in answer.pieces:
        await question.peer.send(beat + beat)
        await question.peer.send(chunk(piece))
    await question.finish(beat)
    assert is_complete(asking.client, await asked)


@pytest.mark.parametrize("inside", [False, True], ids=["between events", "inside one"])
@each_call
async def test_an_end_without_the_last_chunk_is_an_error(
    asking: Asking, provider: Provider, inside: bool
) -> None:
    asked = asking.ask(provider.url, patience=asking.client.rests)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer, answer.before_cut)
    if inside:
        await question.peer.send(chunk(answer.half))
    question.peer.close()
    assert is_error(await asked)


@each_call
async def test_a_clean_end_without_the_terminal_event_is_a_complete_answer_to_some(
    asking: Asking, provider: Provider
) -> None:
    """Why a stream of these families may not be ended cleanly before its time."""
    asked = asking.ask(provider.url, patience=asking.client.rests)
    question = await provider.question()
    answer = question.answer(asking.client)
    await question.begin(answer, answer.before_cut)
    await question.finish()
    told = await asked
    assert told.text != TEXT
    if asking.call in asking.client.unaware:
        assert told.error is None
    else:
        assert told.error is not None
        assert told.error.partition(":")[0] in asking.client.on_clean_end
