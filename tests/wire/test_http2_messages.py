"""Messages over HTTP/2: what has no body, what comes before it and behind it."""

from __future__ import annotations

import h2.events
import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.http2 import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    RST_STREAM,
    FramePeer,
    Http2Listener,
    fields_of,
    frame,
    settings,
)
from tests.support.messages import OK, STREAM
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy

HTTP_1_1_REQUIRED = 13


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy(
        {"/api": {"target": upstream.url}}, server={**over.server, "max_fields": 50}
    )


@pytest.mark.parametrize(
    ("method", "response", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "7"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "7"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
    ],
)
async def test_what_has_no_body_is_one_frame(
    running: RunningProxy,
    upstream: Upstream,
    over: Http2Listener,
    method: str,
    response: bytes,
    length: str | None,
) -> None:
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api", method=method))
    server = await upstream.request()
    await server.send(response)
    head = await http.next(HEADERS, 1)
    assert head.ends
    assert fields_of(http.decoder.decode(head.payload)).get("content-length") == length
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_a_body_of_known_length_ends_with_its_last_byte(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api"))
    server = await upstream.request()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    assert not (await http.next(HEADERS, 1)).ends
    assert not (await http.next(DATA, 1)).ends
    await server.send(b"cd")
    last = await http.next(DATA, 1)
    assert (last.payload, last.ends) == (b"cd", True)


async def test_a_response_that_came_at_once_goes_out_at_once(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """Head, body and end, as one write; no empty frame behind them."""
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api"))
    server = await upstream.request()
    written: list[bytes] = []
    transport = running.http2_connection.transport

    class Noting:
        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

        def write(self, data: bytes) -> None:
            written.append(data)
            transport.write(data)

    running.http2_connection.transport = Noting()  # type: ignore[assignment]
    await server.send(STREAM + chunk(b"all") + chunk(b""))
    await http.next(HEADERS, 1)
    last = await http.next(DATA, 1)
    assert (last.payload, last.ends) == (b"all", True)
    assert len(written) == 1


async def test_trailers_follow_the_body(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/api", [("te", "trailers")])
    server = await upstream.request()
    assert b"TE: trailers" in server.head_lines
    await server.send(STREAM + chunk(b"x"))
    await http.head(number)
    await server.send(b"0\r\ngrpc-status: 0\r\nConnection: x\r\n\r\n")
    trailers = await http.next(number, h2.events.TrailersReceived)
    assert fields_of(trailers.headers) == {"grpc-status": "0"}
    assert await http.body(number) == b"x"


async def test_trailers_that_nobody_wants_are_left_out(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/api")
    server = await upstream.request()
    await server.send(STREAM + chunk(b"x") + b"0\r\ngrpc-status: 0\r\n\r\n")
    await http.next(number, h2.events.ResponseReceived)
    await http.next(number, h2.events.StreamEnded)
    assert await running.ended()


async def test_early_hints_go_on(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/api")
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    )
    hints = await http.next(number, h2.events.InformationalResponseReceived)
    assert fields_of(hints.headers) == {
        ":status": "103",
        "link": "</a.css>; rel=preload",
    }
    await server.send(OK)
    assert (await http.head(number))[":status"] == "200"
    assert await http.body(number) == b"ok"


async def test_the_upstream_says_when_the_body_may_come(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    fields = [("expect", "100-continue"), ("content-length", "5")]
    number = await http.ask("/api", fields, method="POST", end=False)
    server = await upstream.request()
    assert b"expect: 100-continue" in server.head_lines
    await server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await http.next(number, h2.events.InformationalResponseReceived)
    await http.send(number, b"hello", end=True)
    assert await server.read(5) == b"hello"
    await server.send(OK)
    assert await http.body(number) == b"ok"


async def test_an_answer_before_the_upload_ends_stops_it(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """RFC 9113 §8.1: all of the response, then RST_STREAM with NO_ERROR."""
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api", method="POST", end=False))
    server = await upstream.request()
    await http.send(DATA, 0, 1, b"some")
    assert await server.read_chunk() == b"some"
    await server.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    await http.next(HEADERS, 1)
    assert (await http.next(DATA, 1)).ends
    assert (await http.next(RST_STREAM, 1)).code == NO_ERROR
    await http.send(DATA, 0, 1, b"still on its way")
    await server.closed()
    await http.peer.send(http.request(3, "/api"))
    await upstream.request()


async def test_pieces_of_an_upload_pass_at_once(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/api", method="POST", end=False)
    server = await upstream.request()
    assert b"Transfer-Encoding: chunked" in server.head_lines
    for each in range(5):
        await http.send(number, b"piece %d" % each)
        assert await server.read_chunk() == b"piece %d" % each
    await http.send(number, b"", end=True)
    assert await server.read_chunk() == b""


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param([(b"abc", 1)], PROTOCOL_ERROR, id="too little"),
        pytest.param([(b"ab", 0), (b"cdef", 0)], PROTOCOL_ERROR, id="too much"),
    ],
)
async def test_content_that_is_not_as_long_as_it_says(
    running: RunningProxy,
    upstream: Upstream,
    over: Http2Listener,
    content: list[tuple[bytes, int]],
    code: int,
) -> None:
    """The upstream is cut, and never told that it has all."""
    http = await over.frames(running)
    fields = [("content-length", "5")]
    await http.peer.send(http.request(1, "/api", fields, method="POST", end=False))
    server = await upstream.request()
    for data, flags in content:
        await http.send(DATA, flags, 1, data)
    assert (await http.next(RST_STREAM, 1)).code == code
    assert len(await server.read_rest()) < 5
    timeline = await running.ended()
    assert (timeline.status, timeline.ending) == (400, Ending.REFUSED)
    assert "Content-Length" in str(timeline.error)


async def test_an_error_of_the_proxy_is_a_response(
    running: RunningProxy, over: Http2Listener
) -> None:
    http = await over.client(running)
    head, body = await http.get("/nowhere", [("accept", "application/json")])
    assert head[":status"] == "404"
    assert b"destination_not_found" in body
    head, body = await http.get("/nowhere", [("accept", "text/html")])
    assert head["content-type"].startswith("text/html")
    assert (await running.ended()).version == "2.0"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/api/" + "x" * 17_000, [], "414"),
        ("/api", [("x-a", "y" * 70_000)], "431"),
        ("/api", [(f"x-{each}", "y") for each in range(60)], "431"),
    ],
)
async def test_what_is_too_large_is_told_by_a_status(
    running: RunningProxy,
    over: Http2Listener,
    path: str,
    fields: list[tuple[str, str]],
    status: str,
) -> None:
    http = await over.frames(running)
    block = http.block(path, fields)
    await http.send(HEADERS, END_STREAM, 1, block[:16_000])
    rest = block[16_000:]
    while len(rest) > 16_000:
        await http.send(9, 0, 1, rest[:16_000])
        rest = rest[16_000:]
    await http.send(9, END_HEADERS, 1, rest)
    assert (await http.head(1))[":status"] == status
    timeline = await running.ended()
    assert timeline.status == int(status)
    assert (timeline.version, timeline.scheme) == ("2.0", over.scheme.encode())
    assert len(running.server.clients) == 1


async def test_a_malformed_request_is_reset_and_logged(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api", [("Upper", "x")]))
    assert (await http.next(RST_STREAM, 1)).code == PROTOCOL_ERROR
    timeline = await running.ended()
    assert (timeline.status, timeline.ending) == (400, Ending.REFUSED)
    assert (timeline.version, timeline.scheme) == ("2.0", over.scheme.encode())
    await http.peer.send(http.request(3, "/api"))
    await (await upstream.request()).send(OK)
    assert (await http.next(DATA, 3)).payload == b"ok"


async def test_bytes_cut_anywhere(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.dial(running)
    raw = FramePeer(http, over.scheme)
    sent = (
        PREFACE
        + settings()
        + frame(4, 1, 0)
        + raw.request(1, "/api", method="POST", end=False)
        + frame(DATA, 0, 1, b"first")
        + frame(DATA, END_STREAM, 1, b"second")
    )
    for each in range(len(sent)):
        await http.send(sent[each : each + 1])
    server = await upstream.request()
    body = b""
    while piece := await server.read_chunk():
        body += piece
    assert body == b"firstsecond"
    await server.send(OK)
    assert (await raw.next(DATA, 1)).payload == b"ok"


async def test_a_reset_before_anything_was_done_asks_no_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    reset = frame(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big"))
    await http.peer.send(http.request(1, "/api") + reset + http.request(3, "/api"))
    server = await upstream.request()
    await server.send(OK)
    assert (await http.next(DATA, 3)).payload == b"ok"
    assert upstream.unexpected == 0


async def test_what_authenticates_a_connection_is_asked_again_by_http1(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """NTLM: an HTTP/2 connection is not one user's (RFC 9113 §7, as IIS)."""
    http = await over.frames(running)
    await http.peer.send(http.request(1, "/api"))
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
        b"Content-Length: 2\r\n\r\nno"
    )
    assert (await http.next(RST_STREAM, 1)).code == HTTP_1_1_REQUIRED
    await running.ended()
    await http.peer.send(http.request(3, "/api"))
    await (await upstream.request()).send(OK)
    assert (await http.next(DATA, 3)).payload == b"ok"


@pytest.mark.parametrize("empty", [False, True], ids=["head", "empty DATA"])
async def test_content_behind_a_request_with_the_same_fields_is_framed(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, empty: bool
) -> None:
    """HTTP/2 says by END_STREAM alone that there is content; it may say so late."""
    http = await over.frames(running)

    def without_content(number: int) -> bytes:
        if not empty:
            return http.request(number, "/api")
        head = http.request(number, "/api", end=False)
        return head + frame(DATA, END_STREAM, number)

    await http.peer.send(without_content(1))
    server = await upstream.request()
    assert b"transfer-encoding" not in server.head.lower()
    await server.send(OK)
    await http.next(DATA, 1)
    await http.peer.send(http.request(3, "/api", end=False))
    assert b"transfer-encoding: chunked" in (await server.read_head()).lower()
    await http.send(DATA, END_STREAM, 3, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await server.read_chunk()).startswith(b"GET /smuggled")
    assert await server.read_chunk() == b""
    await server.send(OK)
    await http.next(DATA, 3)
    await http.peer.send(without_content(5))
    assert b"transfer-encoding" not in (await server.read_head()).lower()
