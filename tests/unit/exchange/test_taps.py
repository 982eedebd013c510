"""What a tap hears of a call: what came from either side, as it came, once."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Literal, cast

import msgspec
import pytest

from proxy.errors import ProxyError
from proxy.exchange.tapped_call import TappedCall
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.policy.request_plan import RequestPlan
from proxy.timeline import Ending
from proxy.transport.upstream_connection import UpstreamConnection
from tests.conftest import InternalErrorLog
from tests.support.memory import CONFIG, MemoryProxy
from tests.support.raw import chunk

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream\r\n"
)


class HeardTape:
    """Notes what it is told, in words."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.pieces: list[bytes] = []

    def asked(self, now: float, plan: RequestPlan) -> None:
        self.heard.append(f"asked {plan.line.decode()}")

    def head(self, now: float, head: ResponseHead, framing: str) -> None:
        self.heard.append(f"{head.status} {framing}".strip())

    def piece(
        self, now: float, side: Literal["client", "upstream"], data: bytes
    ) -> None:
        self.heard.append(f"{side} {len(data)}")
        self.pieces.append(data)

    def request_complete(self, now: float) -> None:
        self.heard.append("request complete")

    def end(
        self,
        now: float,
        end: str,
        trailers: Fields,
        ending: Ending,
        error: ProxyError | None,
    ) -> None:
        told = "".join(f" {name.decode()}" for name, _ in trailers)
        self.heard.append(f"{end}{told}, {ending.value}")


class Tapes:
    """The tapes of all calls."""

    def __init__(self) -> None:
        self.tapes: list[HeardTape] = []

    def takes(self, prefix: str) -> bool:
        return True

    def tape(self, call: TappedCall) -> HeardTape:
        self.tapes.append(HeardTape())
        return self.tapes[-1]

    @property
    def heard(self) -> list[str]:
        [tape] = self.tapes
        return tape.heard


@pytest.fixture
def tapes() -> Tapes:
    return Tapes()


async def heard_of(
    tapes: Tapes,
    request: bytes,
    response: Iterable[bytes],
    *,
    end: Exception | Literal["not"] | None = "not",
) -> list[str]:
    """What is heard of one exchange; the upstream may close behind its last read."""
    served = MemoryProxy(tapes=tapes)
    served.client.receive(request)
    for each in response:
        served.open_upstreams[0].receive(each)
    if end != "not":
        served.open_upstreams[0].end(end)
    served.stop()
    return tapes.heard


ASKED = "asked GET /events HTTP/1.1"


@pytest.mark.parametrize(
    ("response", "heard"),
    [
        pytest.param(
            [
                STREAM + b"\r\n",
                chunk(b"data: 1\n\n"),
                chunk(b"data: 2\n\n"),
                chunk(b""),
            ],
            ["200 chunked", "upstream 9", "upstream 9", "complete, complete"],
            id="whole chunks, which would pass unseen",
        ),
        pytest.param(
            [STREAM + b"\r\n" + chunk(b"a") + chunk(b"b") + b"0\r\nX: 1\r\n\r\n"],
            ["200 chunked", "upstream 2", "complete X, complete"],
            id="all in one read, with trailers",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", b"cd"],
            ["200 length", "upstream 2", "upstream 2", "complete, complete"],
            id="length",
        ),
        pytest.param(
            [b"HTTP/1.1 204 No Content\r\n\r\n"],
            ["204 none", "complete, complete"],
            id="no body",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
            ["200 length", "complete, complete"],
            id="empty body",
        ),
        pytest.param(
            [
                b"HTTP/1.1 103 Early Hints\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ],
            ["103", "200 length", "complete, complete"],
            id="interim",
        ),
        pytest.param(
            [STREAM + b"\r\n" + b"x\r\n"],
            ["200 chunked", "malformed, upstream broke"],
            id="malformed chunk",
        ),
        pytest.param(
            [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
            ["101 unread", "malformed, upstream broke"],
            id="switched without being asked",
        ),
    ],
)
async def test_a_response_is_heard_as_the_upstream_sent_it(
    tapes: Tapes, response: list[bytes], heard: list[str]
) -> None:
    assert await heard_of(tapes, GET, response) == [ASKED, *heard]


@pytest.mark.parametrize(
    ("response", "fault", "heard"),
    [
        pytest.param(
            [STREAM + b"\r\n", chunk(b"data: 1\n\n")],
            None,
            ["200 chunked", "upstream 9", "fin, upstream broke"],
            id="FIN",
        ),
        pytest.param(
            [STREAM + b"\r\n", chunk(b"data: 1\n\n")],
            ConnectionResetError(),
            ["200 chunked", "upstream 9", "reset, upstream broke"],
            id="reset",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\n\r\na"],
            None,
            ["200 close", "upstream 1", "complete, complete"],
            id="ends by its close",
        ),
        pytest.param([b"HTTP/1.1 2"], None, ["fin, upstream broke"], id="no head"),
    ],
)
async def test_how_the_upstream_ended_is_heard(
    tapes: Tapes, response: list[bytes], fault: Exception | None, heard: list[str]
) -> None:
    assert await heard_of(tapes, GET, response, end=fault) == [ASKED, *heard]


async def test_a_coded_body_is_heard_before_it_is_decoded(tapes: Tapes) -> None:
    config = CONFIG.routes["/"]
    assert config.decode == "streams"
    coded = gzip.compress(b"data: 1\n\n")
    head = STREAM + b"Content-Encoding: gzip\r\n\r\n"
    await heard_of(tapes, GET, [head + chunk(coded[:9]), chunk(coded[9:]), chunk(b"")])
    assert tapes.tapes[0].pieces == [coded[:9], coded[9:]]


async def test_an_upload_is_heard_as_the_client_sent_it(tapes: Tapes) -> None:
    served = MemoryProxy(tapes=tapes)
    served.client.receive(
        b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"
    )
    for each in (b"c", b"de"):
        served.client.receive(each)
    served.open_upstreams[0].receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert tapes.heard == [
        "asked POST /events HTTP/1.1",
        *("client 2", "client 1", "client 2", "request complete"),
        *("204 none", "complete, complete"),
    ]
    served.stop()


async def test_a_tunnel_is_heard_in_both_directions(tapes: Tapes) -> None:
    route = msgspec.structs.replace(CONFIG.routes["/"], ws=True)
    served = MemoryProxy(
        msgspec.structs.replace(CONFIG, routes={"/": route}), tapes=tapes
    )
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    served.client.receive(GET[:-2] + upgrade)
    [upstream] = served.open_upstreams
    upstream.receive(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\x81\x01a")
    served.client.receive(b"\x81\x81")
    served.client.receive(b"\0\0\0\0b")
    served.client.end(None)
    upstream.end(None)
    assert tapes.heard == [
        ASKED,
        *("101 tunnel", "upstream 3", "client 2", "client 5", "request complete"),
        "complete, complete",
    ]
    served.stop()


async def test_a_client_that_leaves_ends_it(tapes: Tapes) -> None:
    served = MemoryProxy(tapes=tapes)
    served.client.receive(GET)
    served.open_upstreams[0].receive(STREAM + b"\r\n" + chunk(b"a"))
    served.client.end(None)
    assert tapes.heard == [ASKED, "200 chunked", "upstream 1", "open, client left"]
    served.stop()


async def test_each_exchange_of_a_connection_has_a_tape_of_its_own(
    tapes: Tapes,
) -> None:
    served = MemoryProxy(tapes=tapes)
    for _ in range(2):
        served.client.receive(GET)
        [upstream] = served.open_upstreams
        upstream.written = b""
        upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
        assert cast("UpstreamConnection", upstream.connection).taps is None
    heard = [ASKED, "200 length", "upstream 1", "complete, complete"]
    assert [tape.heard for tape in tapes.tapes] == [heard, heard]
    served.stop()


async def test_a_tape_that_raises_is_told_nothing_more(
    internal_errors: InternalErrorLog,
) -> None:
    class Torn(HeardTape):
        def piece(
            self, now: float, side: Literal["client", "upstream"], data: bytes
        ) -> None:
            super().piece(now, side, data)
            raise ValueError("torn")

    class TornTapes(Tapes):
        def tape(self, call: TappedCall) -> HeardTape:
            self.tapes.append(Torn())
            return self.tapes[-1]

    served, tapes = MemoryProxy(tapes=(tapes := TornTapes())), tapes
    served.client.receive(GET)
    upstream = served.open_upstreams[0]
    upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
    upstream.receive(b"b")
    assert served.client.written.endswith(b"\r\n\r\nab")
    assert tapes.heard == [ASKED, "200 length", "upstream 1"]
    [told] = internal_errors.told
    assert "recording an exchange" in told
    served.stop()


async def test_without_taps_nothing_stands_in_the_way() -> None:
    served = MemoryProxy()
    served.client.receive(GET)
    [upstream] = served.open_upstreams
    upstream.receive(STREAM + b"\r\n")
    connection = cast("UpstreamConnection", upstream.connection)
    assert connection.taps is None
    assert connection.receiver is connection.chunks is not None
    served.stop()
