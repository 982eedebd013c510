"""An exchange that is over is freed at once: no cycle waits for the collector.

A cycle in each request would have the collector run every few hundred of them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import cast

import pytest

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.exchange.early_response import EarlyResponse
from tests.conftest import ManualClock
from tests.support.memory import MemoryProxy
from tests.support.messages import GET, OK, UPLOAD
from tests.support.raw import chunk

TARGET = parse_target("http://127.0.0.1:1")
CONFIG = Config(
    routes={
        "/": Route(prefix="/", targets=(TARGET,), on_upstream_failure="event", ws=True),
        "/finish": Route(prefix="/finish", targets=(TARGET,), on_client_leave="finish"),
    }
)
SECONDS = 15.0
EARLY = Config(
    routes={
        "/": Route(
            prefix="/",
            targets=(TARGET,),
            heartbeat_seconds=SECONDS,
            heartbeat_before_head=True,
        )
    }
)
FINISH = GET.replace(b" / ", b" /finish ")
UPGRADE = GET[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream\r\n\r\n9\r\ndata: 1\n\n\r\n"
)
CHAT = STREAM[: STREAM.index(b"9\r\n")] + chunk(
    b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'
)
SWITCH = b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw"


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("request_bytes", "answer", "end"),
    [
        pytest.param(GET, OK, "", id="complete"),
        pytest.param(GET, STREAM + b"0\r\n\r\n", "", id="a stream"),
        pytest.param(GET, CHAT + b"0\r\n\r\n", "", id="a stream of a known family"),
        pytest.param(GET, CHAT, "client", id="the client leaves such a stream"),
        pytest.param(UPLOAD + b"1\r\nx\r\n0\r\n\r\n", OK, "", id="an upload"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"", "", id="refused"),
        pytest.param(GET, b"HTTP/1.1 2", "upstream", id="half an answer"),
        pytest.param(GET, b"nonsense\r\n\r\n", "", id="a malformed answer"),
        pytest.param(GET, STREAM, "upstream", id="a stream that breaks"),
        pytest.param(
            UPLOAD + b"1\r\nx\r\n", b"", "upstream", id="an upload that breaks"
        ),
        pytest.param(UPGRADE, SWITCH, "upstream, client", id="a tunnel"),
        pytest.param(GET, STREAM, "client", id="the client leaves a stream"),
        pytest.param(UPLOAD, b"", "client", id="the client leaves an upload"),
        pytest.param(FINISH, STREAM, "client, upstream", id="without its client"),
    ],
)
@pytest.mark.usefixtures("no_collector")
async def test_nothing_of_an_exchange_that_is_over_waits_for_the_collector(
    request_bytes: bytes, answer: bytes, end: str
) -> None:
    proxy = MemoryProxy(CONFIG)
    proxy.client.receive(request_bytes)
    await ends(proxy, answer, end)
    assert (proxy.timelines[0].call.finish is not None) == (request_bytes == FINISH)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        pytest.param(STREAM + b"0\r\n\r\n", "", id="a stream"),
        pytest.param(OK, "", id="no stream"),
        pytest.param(STREAM[:20], "upstream", id="half an answer"),
        pytest.param(STREAM, "upstream", id="a stream that breaks"),
        pytest.param(b"", "client", id="the client leaves"),
        pytest.param(STREAM, "client", id="the client leaves a stream"),
    ],
)
@pytest.mark.parametrize("begins", [True, False], ids=["begun early", "not yet"])
@pytest.mark.usefixtures("no_collector")
async def test_nor_does_anything_of_heartbeats(
    answer: bytes, end: str, begins: bool, clock: ManualClock
) -> None:
    proxy = MemoryProxy(EARLY, clock)
    proxy.client.receive(GET[:-2] + b"Accept: text/event-stream\r\n\r\n")
    if begins:
        clock.advance(SECONDS)
        (exchange,) = proxy.server.exchanges
        early = cast("EarlyResponse", exchange.source)
        early.stop()
        early.rang()
        del exchange, early
        assert proxy.client.written.endswith(b":\n\r\n")
    await ends(proxy, answer, end)


async def ends(proxy: MemoryProxy, answer: bytes, end: str) -> None:
    """Have the exchange of a proxy end, and see that nothing of it is left."""
    upstream = next((each for each in proxy.upstreams if each.written), proxy.client)
    if answer:
        upstream.receive(answer)
    for who in filter(None, end.split(", ")):
        (proxy.client if who == "client" else upstream).end(None)
    assert len(proxy.timelines) == 1
    del upstream
    await asyncio.sleep(0)  # what the loop was given to call
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = {type(each).__name__ for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    ours = {"Exchange", "Forward", "UpstreamCall", "Dial", "Timeline", "GracefulEnd"}
    ours |= {"EarlyResponse", "BodyBeginning", "HeartbeatSlot", "BoundarySlot"}
    ours |= {"ResponseStream", "FamilySlot", "AbsentClient"}
    assert {name for name in found if name in ours or "Relay" in name} == set()
    proxy.stop()
