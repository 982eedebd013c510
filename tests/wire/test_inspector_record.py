"""[inspector] record: what passed before the inspector was opened."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from proxy.inspector.exchange_history import (
    LINGER_SECONDS,
    MOST_RECENT,
    ExchangeHistory,
)
from proxy.observe.capture_buffer import CaptureBudget, CaptureBuffer
from tests.conftest import InternalErrorLog, ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, NDJSON_HEAD
from tests.support.looking import asked, looking
from tests.support.messages import GET_X, OK
from tests.support.ports import ClosedPort
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.recorded import Shown, content, detail, rows, shown
from tests.support.running import RunningProxy, Table, serving
from tests.wire.test_reload import File
from tests.wire.test_workers_seen_as_one import workers

pytestmark = pytest.mark.any_loop

SSE_HEAD = EVENT_HEAD % b""
EVENTS = [b"data: %d\n\n" % number for number in range(5)]
SMALL = {"record_bytes": 65536}


def history(running: RunningProxy) -> ExchangeHistory:
    return running.server.inspector.history


async def stream(
    running: RunningProxy,
    upstream: Upstream,
    events: list[bytes],
    head: bytes = SSE_HEAD,
    request: bytes = GET_X,
    clock: ManualClock | None = None,
) -> tuple[Peer, Peer]:
    """A stream whose client has these events, each a second after the one before."""
    client, server = await running.begin(upstream, request)
    await server.send(head)
    await client.read_head()
    for event in events:
        if clock is not None:
            clock.advance(1)
        await server.send(chunk(event))
        await client.read_payload(len(event))
    return client, server


async def ended(
    running: RunningProxy, upstream: Upstream, *args: Any, **options: Any
) -> None:
    """One that is over."""
    client, server = await stream(running, upstream, *args, **options)
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    await running.ended()
    server.close()


# -- streams


@pytest.mark.both_protocols
@pytest.mark.parametrize(
    ("head", "events"),
    [
        pytest.param(SSE_HEAD, EVENTS, id="an event stream"),
        pytest.param(NDJSON_HEAD, [b'{"n": %d}\n' % n for n in range(5)], id="NDJSON"),
    ],
)
async def test_a_stream_that_is_over_is_shown_in_full_with_its_times(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    head: bytes,
    events: list[bytes],
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    await ended(running, upstream, events, head=head, clock=clock)
    clock.advance(100)
    told = await shown(running, "/x")
    assert told.sides == [("response", event) for event in events]
    assert told.times == [(second, second) for second in range(1, 6)]
    assert [each["n"] for each in told.pieces] == [1, 2, 3, 4, 5]
    assert (told.row["recorded"], told.detail["whole"], told.dropped) == (True, True, 0)
    assert (told.row["pieces"], told.row["ended_by"]) == (5, "complete")
    assert told.detail["request"]["received"]
    assert told.detail["response"]["sent"]


@pytest.mark.both_protocols
async def test_a_stream_that_runs_is_shown_from_its_beginning_and_goes_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await stream(running, upstream, EVENTS)
    told = await shown(running, "/x")
    assert told.sides == [("response", event) for event in EVENTS]
    assert (told.row["phase"], told.detail["whole"]) == ("relaying", True)
    await server.send(chunk(b"data: last\n\n") + b"0\r\n\r\n")
    await client.read_payload(12)
    assert await client.read_chunk() == b""
    await running.ended()
    told = await shown(running, "/x")
    assert [data for _, data in told.sides] == [*EVENTS, b"data: last\n\n"]


async def test_both_directions_of_a_tunnel_are_shown_in_their_order(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client, server = await running.begin(upstream, GET_X[:-2] + upgrade)
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    await client.read_head()
    for word in (b"one", b"two"):
        await client.send(word)
        assert await server.read(3) == word
        await server.send(word.upper())
        assert await client.read(3) == word.upper()
    client.close()
    server.close()
    await running.ended()
    told = await shown(running, "/x")
    assert told.sides == [
        ("request", b"one"),
        ("response", b"ONE"),
        ("request", b"two"),
        ("response", b"TWO"),
    ]
    assert told.detail["whole"] is True


async def test_a_response_that_is_no_stream_is_not_recorded(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    await server.send(OK)
    await client.read_head()
    await running.ended()
    assert not history(running).budget.recordings
    told = await shown(running, "/x")
    assert (told.pieces, told.row["recorded"]) == ([], False)


async def test_who_leaves_has_a_record_up_to_then(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, _ = await stream(running, upstream, EVENTS)
    client.reset()
    await running.ended()
    told = await shown(running, "/x")
    assert [data for _, data in told.sides] == EVENTS
    assert told.row["ended_by"] == "client left: the client closed the connection"


# -- failures


@pytest.mark.parametrize(
    "accept", [b"*/*", b"text/html"], ids=["a program", "a person"]
)
async def test_a_failure_is_shown_with_what_was_sent_and_what_to_do(
    proxy: StartProxy, accept: bytes
) -> None:
    with ClosedPort() as dead:
        running = await proxy({"/": {"target": dead.url}})
        client = await running.client()
        await client.send(GET_X[:-2] + b"Accept: %b\r\n\r\n" % accept)
        await client.read_head()
        timeline = await running.ended()
        body = await client.read(timeline.bytes_sent)
        told = await shown(running, "/x")
    assert told.sides == [("response", body)]
    assert told.pieces[0]["own"] is True
    assert told.row["advice"].encode() in body
    assert told.row["ended_by"].endswith(told.row["error"])
    assert (told.row["status"], told.row["error_type"]) == (502, "connection_refused")
    assert (told.row["recorded"], told.detail["whole"]) == (True, True)
    assert told.detail["response"]["line"] == "HTTP/1.1 502 Bad Gateway"


async def test_what_is_no_request_is_shown_with_what_was_answered(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nbad field\r\n\r\n")
    await client.read_head()
    id = (await running.ended()).request_id.decode()
    told = await detail(running, f"requests/{id}")
    assert (told["status"], told["recorded"]) == (400, True)
    (row,) = (await rows(running)).values()
    assert (await shown(running, row["target"])).sides[0][0] == "response"


async def test_a_failure_without_a_body_is_one_too(proxy: StartProxy) -> None:
    with ClosedPort() as dead:
        running = await proxy({"/": {"target": dead.url}})
        client = await running.client()
        await client.send(GET_X.replace(b"GET", b"HEAD"))
        await client.read_head()
        await running.ended()
        told = await shown(running, "/x")
    assert (told.pieces, told.row["recorded"]) == ([], True)
    assert told.detail["response"]["sent"]


@pytest.mark.both_protocols
async def test_a_stream_that_was_cut_ends_with_what_told_of_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    route = {"target": upstream.url, "on_upstream_failure": "event"}
    running = await proxy({"/": route})
    client, server = await stream(running, upstream, EVENTS)
    server.reset()
    rest = await client.read_chunk()
    await running.ended()
    told = await shown(running, "/x")
    assert [data for _, data in told.sides] == [*EVENTS, rest]
    assert [each.get("own", False) for each in told.pieces] == [*5 * [False], True]
    assert b"error" in rest
    assert told.row["error_type"] == "http_response_incomplete"


# -- room


async def test_the_oldest_pieces_make_room(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """One exchange has an eighth at most; of all the oldest go first."""
    running = await proxy({"/": {"target": upstream.url}}, inspector=SMALL)
    large = [b"data: %b\n\n" % (b"%02d" % number * 500) for number in range(20)]
    for name in range(12):
        request = GET_X.replace(b"/x", b"/%d" % name)
        await ended(running, upstream, large, request=request)
    budget = history(running).budget
    assert 50_000 < budget.weight <= 65536
    assert (await rows(running))["/0"]["recorded"] is False
    assert (await shown(running, "/0")).pieces == []
    last = await shown(running, "/11")
    assert [content(each) for each in last.pieces] == large[-len(last.pieces) :]
    assert 4 <= len(last.pieces) <= 8
    assert last.dropped == 20 - len(last.pieces)
    assert [each["n"] for each in last.pieces][-1] == 20


async def test_streams_stay_in_the_list_when_many_others_have_ended(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    await ended(running, upstream, EVENTS)
    client, server = await running.begin(upstream, GET_X.replace(b"/x", b"/plain"))
    for number in range(MOST_RECENT + 1):
        await server.send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()
        if number < MOST_RECENT:
            await client.send(GET_X.replace(b"/x", b"/%d" % number))
            await server.read_head()
    found = await rows(running)
    assert "/plain" not in found
    assert "/0" in found
    assert found["/x"]["ending"] == "complete"
    told = await shown(running, "/x")
    assert [data for _, data in told.sides] == EVENTS
    assert told.detail["request"]["received"]
    assert len(history(running).recent) == MOST_RECENT


# -- other modes


async def test_on_look_records_what_passes_while_somebody_looks(
    proxy: StartProxy, upstream: Upstream
) -> None:
    inspector = {"record": "on-look"}
    running = await proxy({"/": {"target": upstream.url}}, inspector=inspector)
    _, server = await stream(running, upstream, EVENTS[:2])
    told = await shown(running, "/x")
    assert (told.pieces, told.row["recorded"]) == ([], False)
    await server.send(chunk(EVENTS[2]))
    server.close()
    await running.ended()
    told = await shown(running, "/x")
    assert [data for _, data in told.sides] == [EVENTS[2]]
    assert told.detail["whole"] is False


async def test_off_keeps_nothing_whoever_looks(
    proxy: StartProxy, upstream: Upstream
) -> None:
    inspector = {"record": "off"}
    running = await proxy({"/": {"target": upstream.url}}, inspector=inspector)
    client, server = await stream(running, upstream, EVENTS)
    for _ in range(2):
        told = await shown(running, "/x")
        assert (told.pieces, told.row["recorded"]) == ([], False)
        assert told.row["pieces"] == 5
    await server.send(chunk(b"data: 5\n\n") + b"0\r\n\r\n")
    await client.read_payload(9)
    timeline = await running.ended()
    told = await shown(running, "/x")
    assert (told.pieces, told.row["pieces"]) == ([], 6)
    assert told.detail["request"]["received"] is None
    assert told.detail["record"] == "off"  # so that the page can say it
    assert timeline.heads is None
    assert not history(running).budget.recordings
    assert history(running).budget.weight == 0


async def test_only_sizes_are_in_memory_where_contents_are_not_shown(
    proxy: StartProxy, upstream: Upstream
) -> None:
    inspector = {"bodies": False}
    running = await proxy({"/": {"target": upstream.url}}, inspector=inspector)
    await ended(running, upstream, EVENTS)
    told = await shown(running, "/x")
    assert [each["bytes"] for each in told.pieces] == [9] * 5
    assert not any("base64" in each for each in told.pieces)
    (recording,) = history(running).budget.recordings.values()
    assert [piece.data for piece in recording.since(0)] == [b""] * 5


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, ("streams", 16_777_216)),
        ({"record": "on-look"}, ("on-look", 16_777_216)),
        ({"record": "off", "record_bytes": 70_000}, ("off", 70_000)),
    ],
    ids=["by default", "on look", "off"],
)
async def test_the_page_is_told_what_is_recorded(
    proxy: StartProxy, settings: Table, told: tuple[str, int]
) -> None:
    running = await proxy({"/": {"target": "http://127.0.0.1:1"}}, inspector=settings)
    state: Any = running.server.inspector.state()
    assert (state["record"], state["record_bytes"]) == told


# -- workers, reloads


async def test_what_another_worker_has_recorded_is_shown(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    async with workers(proxy, upstream, tmp_path) as (first, second):
        await ended(second, upstream, EVENTS)
        row = {}
        status, body = await asked(first, "exchanges/1-1")
        assert status == 404  # nobody has looked yet
        while "/x" not in row:  # of the other worker it comes a little later
            row = await rows(second)
        id = row["/x"]["id"]
        assert id.startswith("1-")
        status, body = await asked(first, f"exchanges/{id}")
        assert (status, json.loads(body)["recorded"]) == (200, True)
        told = await shown_elsewhere(first, id)
        assert [data for _, data in told.sides] == EVENTS


async def shown_elsewhere(running: RunningProxy, id: str) -> Shown:
    """What one worker shows of an exchange of another."""
    async with looking(running, f"exchanges/{id}/feed") as feed:
        pieces = await feed.next("pieces")
        row = await feed.next("end")
    return Shown(row, row, pieces, 0)


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        pytest.param({"record": "streams"}, True, id="as it was"),
        pytest.param({"record": "on-look"}, False, id="on look"),
        pytest.param({"record": "off"}, False, id="off"),
        pytest.param({"enabled": False}, False, id="no inspector"),
        pytest.param({"bodies": False}, False, id="without contents"),
    ],
)
async def test_a_reload_ends_what_is_not_recorded_any_more(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path, after: Table, kept: bool
) -> None:
    routes = {"/": {"target": upstream.url}}
    running = await proxy(routes)
    file = File(tmp_path / "config.toml", running)
    await ended(running, upstream, EVENTS, request=GET_X.replace(b"/x", b"/over"))
    client, server = await stream(running, upstream, EVENTS)
    exchange = await running.exchange()
    assert await file.reload(routes, inspector=after)
    assert (exchange.capture is not None) is kept
    assert len(history(running).budget.recordings) == 2 * kept
    await server.send(chunk(b"data: more\n\n"))
    await client.read_payload(12)
    if kept:
        told = await shown(running, "/x")
        assert [data for _, data in told.sides] == [*EVENTS, b"data: more\n\n"]
        assert (await shown(running, "/over")).row["recorded"] is True


async def test_a_reload_begins_to_record_what_begins_then(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    routes = {"/": {"target": upstream.url}}
    running = await proxy(routes, inspector={"record": "off"})
    file = File(tmp_path / "config.toml", running)
    await ended(running, upstream, EVENTS)
    assert await file.reload(routes, inspector={"record": "streams"})
    await ended(running, upstream, EVENTS, request=GET_X.replace(b"/x", b"/y"))
    assert (await shown(running, "/x")).pieces == []
    assert len((await shown(running, "/y")).pieces) == 5


async def test_a_smaller_budget_holds_at_once(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    routes = {"/": {"target": upstream.url}}
    running = await proxy(routes)
    file = File(tmp_path / "config.toml", running)
    for name in range(12):
        request = GET_X.replace(b"/x", b"/%d" % name)
        await ended(running, upstream, [b"data: x\n\n" * 1000] * 2, request=request)
    assert history(running).budget.weight > 150_000
    assert await file.reload(routes, inspector=SMALL)
    assert 0 < history(running).budget.weight <= 65536
    assert len((await shown(running, "/11")).pieces) == 2


# -- what goes wrong


class NoRoom(CaptureBudget):
    """A budget that is broken."""

    def has_room(self) -> bool:
        raise MemoryError


class Full(deque[CaptureBuffer]):
    """An order that takes nothing."""

    def append(self, item: CaptureBuffer) -> None:
        raise MemoryError


@pytest.mark.parametrize("takes_streams", [True, False])
async def test_a_recording_that_fails_costs_nothing_but_itself(
    upstream: Upstream,
    tmp_path: Path,
    internal_errors: InternalErrorLog,
    takes_streams: bool,
) -> None:
    route = {"target": upstream.url, "on_upstream_failure": "event"}
    async with serving(tmp_path, {"/": route}, {}) as running:
        known = history(running)
        if takes_streams:
            known.budget.order = Full()
        else:
            known.budget = NoRoom()
        client, server = await stream(running, upstream, EVENTS)
        server.reset()
        assert b"error" in await client.read_chunk()
        assert (await running.ended()).call.pieces == 5
    places = ["capturing a piece"] if takes_streams else ["recording a stream"]
    places.append("recording a failure")
    if takes_streams:
        places.append("the list of exchanges")
    assert [each.partition(";")[0] for each in internal_errors.told] == [
        f"internal error in {place}" for place in places
    ]


async def test_what_is_recorded_stays_when_nobody_looks_any_more(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """And what was captured for those who looked goes."""
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await stream(running, upstream, EVENTS)
    plain, its = await running.begin(upstream, GET_X.replace(b"/x", b"/plain"))
    await shown(running, "/plain")
    await its.send(OK)
    await plain.read_head()
    await running.ended()
    known = history(running)
    assert len(known.budget.recordings) == 2
    await became(lambda: not known.lookers)
    clock.advance(LINGER_SECONDS)
    running.tick()
    assert len(known.budget.recordings) == 1
    await server.send(chunk(b"data: 5\n\n"))
    await client.read_payload(9)
    assert len((await shown(running, "/x")).pieces) == 6
