"""Which record answers an upload, and what is sent before its body is there."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from proxy.origin import replay_origin
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RequestComplete,
)
from tests.support.raw import connect
from tests.support.records import got, head, record, sent
from tests.unit.origin.test_playback import MS, Stage, post

EXPECT = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 OK\r\n\r\n"


@pytest.fixture(autouse=True)
async def running_loop() -> None:
    """Requests that wait for their turn are taken up by the loop."""


def asked(body: bytes, answer: bytes, *interim: RecordedHead) -> ExchangeRecord:
    """An upload; what is sent before it, and 20 ms after its head the answer."""
    return record(
        *interim, got(8 * MS, body), RequestComplete(10 * MS),
        head(20 * MS, "length"), sent(20 * MS, answer), method="POST",
    )  # fmt: skip


def with_length(played: ExchangeRecord, size: int) -> ExchangeRecord:
    """The head of the request said how long its body is."""
    request = replace(played.request, fields=[("Content-Length", str(size))])
    return replace(played, request=request)


async def answer(stage: Stage, body: bytes, at: float) -> bytes:
    """What a client gets that waits for 100 before it sends the body."""
    begin, _ = post(body, EXPECT)
    stage.send(begin)
    before = stage.at(at)
    assert before == [CONTINUE]
    stage.send(body)
    written = b"".join(stage.at(at + 50))
    await asyncio.sleep(0)
    return written


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.parametrize("expect", [b"", EXPECT])
async def test_an_interim_response_does_not_choose_the_record(
    status: int, expect: bytes
) -> None:
    first = head(2 * MS, "", status)
    stage = Stage(asked(b"one", b"1", first), asked(b"two", b"2", first))
    for at, (body, expected) in enumerate(
        [(b"two", b"2"), (b"one", b"1"), (b"two", b"2"), (b"six", b"asked 'six'\n")]
    ):
        begin, _ = post(body, expect)
        stage.send(begin)
        before = stage.at(100 * at + 5)
        assert b"HTTP/1.1 %d " % status in b"".join(before)
        assert b" 200 " not in b"".join(before)
        stage.send(body)
        after = b"".join(stage.at(100 * at + 99))
        assert after.endswith(expected)
        assert b"HTTP/1.1 1" not in after  # it was sent
        await asyncio.sleep(0)


@pytest.mark.parametrize("plain_first", [True, False])
@pytest.mark.parametrize("options", [{}, {"any_body": True}])
async def test_records_with_a_100_and_without_it_take_turns(
    plain_first: bool, options: dict[str, bool]
) -> None:
    """Also for a client that waits for 100, which gets exactly one."""
    plain = asked(b"one", b"plain")
    asks = asked(b"one", b"asks", head(2 * MS, "", 100))
    records = [plain, asks] if plain_first else [asks, plain]
    stage = Stage(*records, **options)
    seen = []
    for at in range(4):
        written = await answer(stage, b"one", 100 * at + 5)
        seen.append(written.partition(b"\r\n\r\n")[2])
        assert CONTINUE not in written
    assert seen == [b"plain", b"asks"] * 2 if plain_first else [b"asks", b"plain"] * 2


async def test_interim_responses_come_at_their_times_before_the_choice() -> None:
    interim = head(2 * MS, "", 100), head(4 * MS, "", 103)
    stage = Stage(asked(b"one", b"1", *interim), asked(b"two", b"2", interim[0]))
    begin, body = post(b"one", EXPECT)
    stage.send(begin)
    assert stage.at(1.999) == []
    assert stage.at(2) == [CONTINUE]
    assert stage.at(30) == []  # the other one may not come
    stage.send(body)
    assert stage.at(99)[0] == HINTS


async def test_an_early_answer_waits_for_what_its_upstream_had_seen() -> None:
    early = record(
        got(1 * MS, b"one"), head(5 * MS, "length"), sent(5 * MS, b"1"),
        got(8 * MS, b"more"), RequestComplete(9 * MS), method="POST",
    )  # fmt: skip
    stage = Stage(early, asked(b"two", b"2"))
    begin, body = post(b"onemore")
    stage.send(begin + body[:2])
    assert stage.at(50)[0].endswith(b"1")  # only one can be meant
    await asyncio.sleep(0)
    stage = Stage(early, asked(b"onetwo", b"2"))
    stage.send(begin + body[:2])
    assert stage.at(50) == []
    stage.send(body[2:3])
    assert stage.at(50)[0].endswith(b"1")


async def test_an_early_answer_that_was_the_wrong_one_is_told() -> None:
    early = record(
        head(5 * MS, "length"), sent(5 * MS, b"1"), got(8 * MS, b"one"),
        RequestComplete(10 * MS), method="POST",
    )  # fmt: skip
    told: list[str] = []
    stage = Stage(early, names=["a.jsonl"], tell=told.append)
    begin, body = post(b"six")
    stage.send(begin)
    assert stage.at(5)[0].endswith(b"1")
    stage.send(body)
    assert told == [
        "POST /events: a.jsonl",
        "POST /events: a.jsonl was played before the body was there, but the body "
        "differs at byte 0: recorded 'one', asked 'six'",
    ]


async def test_a_refusal_of_the_head_alone_is_played_to_who_waits_for_100() -> None:
    refused = record(head(5 * MS, "length", 413), method="POST")
    stage = Stage(with_length(refused, 3))
    stage.send(post(b"abc", EXPECT)[0])
    assert stage.at(4.999) == []
    assert stage.at(5)[0].startswith(b"HTTP/1.1 413 ")


def refused_and_taken(*, authorized: bool) -> list[ExchangeRecord]:
    """401 by the head alone, and then the whole: what curl does with --anyauth.

    `authorized`: the second request is known to have credentials. A HAR of a browser,
    for example, has none of them.
    """
    refused = with_length(record(head(5 * MS, "length", 401), method="POST"), 3)
    taken = asked(b"abc", b"taken", head(2 * MS, "", 100))
    if authorized:
        request = replace(taken.request, fields=[("Authorization", "****")])
        taken = replace(taken, request=request)
    return [refused, taken]


LOGIN = b"Authorization: Digest x\r\n"


@pytest.mark.parametrize("authorized", [True, False])
async def test_a_refusal_by_the_head_alone_is_followed_by_the_whole(
    authorized: bool,
) -> None:
    stage = Stage(*refused_and_taken(authorized=authorized))
    for at in (0, 200, 400):
        stage.send(post(b"abc", EXPECT)[0])
        [refusal] = stage.at(at + 50)  # and no 100: the body is not wanted
        assert refusal.startswith(b"HTTP/1.1 401 ")
        stage.send(b"abc")  # it has to, on this connection
        await asyncio.sleep(0)
        begin, body = post(b"abc", EXPECT + LOGIN)
        stage.send(begin)
        assert stage.at(at + 100) == [CONTINUE]
        stage.send(body)
        assert b"".join(stage.at(at + 150)).endswith(b"taken")
        await asyncio.sleep(0)


async def test_who_has_credentials_already_is_not_refused() -> None:
    stage = Stage(*refused_and_taken(authorized=True))
    for at in (0, 100):
        begin, body = post(b"abc", LOGIN)
        stage.send(begin + body)
        assert b"".join(stage.at(at + 50)).endswith(b"taken")
        await asyncio.sleep(0)
    for at in (200, 300):
        begin, body = post(b"abc")
        stage.send(begin + body)
        assert stage.at(at + 50)[0].startswith(b"HTTP/1.1 401 ")
        await asyncio.sleep(0)


async def test_another_body_is_refused_whoever_s_turn_it_is() -> None:
    stage = Stage(*refused_and_taken(authorized=False))
    for at in (0, 100, 200):
        begin, _ = post(b"xyz")
        stage.send(begin + b"xyz")
        assert stage.at(at + 50)[0].startswith(b"HTTP/1.1 401 ")
        await asyncio.sleep(0)


async def test_an_upstream_that_breaks_off_an_upload_does_not_wait_for_its_end() -> (
    None
):
    broken = replace(record(got(1 * MS, b"a"), method="POST"),
                     end=RecordedEnd(5 * MS, "fin"))  # fmt: skip
    stage = Stage(with_length(broken, 3))
    stage.send(post(b"abc")[0] + b"a")
    assert stage.at(4.999) == []
    assert stage.at(5) == [b"<FIN>"]


# -- what is kept of bodies


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many bytes are kept of a body that no record has."""
    monkeypatch.setattr(replay_origin, "MOST_UNKNOWN", 100)
    return 100


@pytest.mark.parametrize("target", [b"/events", b"/other"])
async def test_a_body_that_no_record_has_is_not_collected(
    few: int, target: bytes
) -> None:
    stage = Stage(asked(b"one" * 100, b"1"))
    begin, _ = post(b"x" * 9_000)
    stage.send(begin.replace(b"/events", target))
    for _ in range(90):
        stage.send(b"x" * 100)
    (request,) = stage.origin.requests
    assert request.complete
    assert request.size == 9_000
    assert len(request.body) <= few + 100
    told = b"".join(stage.at(99))
    if target == b"/events":
        assert b"body of 9000 bytes" in told
        assert b"differs at byte 0: recorded 'oneone" in told


async def test_a_body_beyond_what_was_recorded_is_not_collected(few: int) -> None:
    part = record(got(1, b"abc"), head(2, "length"), method="POST")
    for played, options in ((part, {}), (part, {"any_body": True})):
        stage = Stage(played, **options)
        stage.send(post(b"abc" + b"x" * 9_000)[0])
        stage.send(b"abc")
        for _ in range(90):
            stage.send(b"x" * 100)
        (request,) = stage.origin.requests
        assert request.complete
        assert len(request.body) <= few + 103


async def test_a_body_that_a_record_has_is_in_memory_once() -> None:
    played = asked(b"one", b"1")
    stage = Stage(played)
    for _ in range(2):
        stage.send(b"".join(post(b"one")))
        stage.at(1000)
        await asyncio.sleep(0)
        stage.timer.now = 1000.0
    first, second = stage.origin.requests
    assert first.received is second.received


async def test_requests_are_kept_only_if_wished() -> None:
    played = record(head(0, "length"), sent(0, b"1"))
    async with ReplayOrigin([played], speed=None, keep_requests=False) as origin:
        client = await connect(origin.port)
        await client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.read_head()
        assert await client.read(1) == b"1"
        assert origin.requests == []
        client.close()
        await asyncio.sleep(0)
