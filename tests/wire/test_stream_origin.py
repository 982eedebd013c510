"""The upstream that tests script: what it sends is exactly what the script says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.errors import UpstreamTruncated
from proxy.origin.response_text import event_bytes
from proxy.origin.script_values import ScriptError
from proxy.origin.stream_origin import StreamOrigin
from tests.conftest import StartProxy
from tests.support.raw import Peer, chunk, connect, idle

GET = b"GET /events?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def client(origin: StreamOrigin) -> AsyncIterator[Peer]:
    peer = await connect(origin.port)
    yield peer
    peer.writer.transport.abort()
    await asyncio.sleep(0)


async def test_each_event_is_sent_when_the_script_says_so(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    request = await origin.request("/events")
    assert (request.method, request.target) == ("GET", "/events?x=1")
    assert (request.query, request.field("host")) == ("x=1", "a")
    await request.respond(fields=[("X-A", "1")])
    head = await client.read_head()
    assert client.head_lines == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/event-stream",
        b"Transfer-Encoding: chunked",
        b"X-A: 1",
    ], head
    await request.send_event("one", event="tick", id=7)
    assert await client.read_chunk() == b"event: tick\nid: 7\ndata: one\n\n"
    await request.send_event({"你": [1, 2]})
    assert await client.read_chunk() == 'data: {"你": [1, 2]}\n\n'.encode()
    request.finish(trailers=[("X-Sum", "9")])
    assert await client.read_until(b"\r\n\r\n") == b"0\r\nX-Sum: 9\r\n\r\n"


async def test_a_connection_serves_one_request_after_the_other(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET + UPLOAD)  # in one write: the second one has to wait
    first = await origin.request()
    assert origin.requests == [first]
    await first.respond(framing="length", length=2)
    await first.send("ab")
    first.finish()
    second = await origin.request(whole=False)
    await client.send(b"0123456789")
    assert await second.whole_body() == b"0123456789"
    await second.respond(204)
    second.finish()
    await client.read_head()
    assert await client.read(2) == b"ab"
    await client.read_head()
    assert client.head_lines == [b"HTTP/1.1 204 No Content"]


async def test_a_request_is_handed_out_once_its_body_is_complete(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(UPLOAD + b"01234")
    asked = asyncio.ensure_future(origin.request("/up"))
    await idle()
    assert not asked.done()
    await client.send(b"56789")
    assert (await asked).body == b"0123456789"


async def test_an_early_answer_is_sent_before_the_request_is_complete(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(UPLOAD + b"01")
    request = await origin.request(whole=False)
    assert await request.receive() == b"01"
    await request.respond(413, content_type="", framing="length", length=0)
    request.finish()
    await client.read_head()
    await client.send(b"23456789" + GET)  # read to its end, and then the next one
    assert await request.whole_body() == b"0123456789"
    assert await request.receive() == b"23456789"
    assert await request.receive() == b""
    assert (await origin.request("/events")).method == "GET"


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_may_be_chunked_and_a_client_may_wait_for_100(
    origin: StreamOrigin, client: Peer, chunked: bool
) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 3"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + framing
    await client.send(head + b"\r\n\r\n")
    await client.read_head()
    assert client.head_lines == [b"HTTP/1.1 100 Continue"]
    await client.send(chunk(b"abc") + chunk(b"") if chunked else b"abc")
    assert (await origin.request()).body == b"abc"


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_response_is_cut_wherever_it_is(
    origin: StreamOrigin, client: Peer, framing: str, end: str
) -> None:
    await client.send(GET)
    request = await origin.request()
    await request.respond(framing=framing, length=99)  # type: ignore[arg-type]  # each of them
    await request.send(b"data: ha")
    await client.read_head()
    await client.read_until(b"data: ha")
    getattr(request, end)()
    rest, how = await client.read_to_close()
    assert (rest, how) == (
        b"\r\n" if framing == "chunked" else b"",
        "fin" if end == "cut" else "reset",
    )


async def test_it_may_cut_without_a_response(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    (await origin.request()).cut()
    await client.closed()


async def test_a_body_until_the_close_is_complete_with_fin(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    request = await origin.request()
    await request.respond(framing="close")
    await request.send(b"all")
    request.finish()
    await client.read_head()
    assert await client.read_to_close() == (b"all", "fin")


async def test_it_tells_that_the_client_has_left(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    request = await origin.request()
    await request.respond()
    left = asyncio.ensure_future(request.left())
    await idle()
    assert not left.done()
    client.close()
    await left
    assert request.gone
    await request.send(b"into the void")  # as a server that has not noticed yet
    request.finish()


async def test_a_head_request_has_a_head_for_an_answer(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    request = await origin.request()
    await request.respond(framing="length", length=5)
    with pytest.raises(ScriptError, match="has no body"):
        await request.send(b"01234")
    request.finish()
    await client.read_head()
    assert b"Content-Length: 5" in client.head_lines
    await (await origin.request()).respond(framing="length", length=0)
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 200 OK"


async def test_interim_responses_go_before_the_response(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    request = await origin.request()
    await request.send_interim(103, [("Link", "</a.css>; rel=preload")])
    await client.read_head()
    assert client.head_lines == [
        b"HTTP/1.1 103 Early Hints",
        b"Link: </a.css>; rel=preload",
    ]
    await request.respond()
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 200 OK"


async def test_a_websocket_is_a_tunnel(origin: StreamOrigin, client: Peer) -> None:
    await client.send(UPGRADE + b"early")
    request = await origin.request("/ws")
    await request.respond(101)
    await client.read_head()
    # The example of RFC 6455 §1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head_lines
    assert await request.receive() == b"early"
    await request.send(b"\x81\x02hi")
    assert await client.read(4) == b"\x81\x02hi"
    client.finish()  # half of it ends
    assert await request.receive() == b""
    assert not request.gone
    await request.send(b"\x88\x00")
    request.finish()
    assert await client.read_to_close() == (b"\x88\x00", "fin")


async def test_a_client_of_http10_gets_no_chunks(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    request = await origin.request()
    await request.respond()
    await request.send(b"all")
    request.finish()
    await client.read_head()
    assert client.head_lines[1:] == [b"Content-Type: text/event-stream"]
    assert await client.read_to_close() == (b"all", "fin")


async def test_a_fixed_answer_needs_no_script(
    origin: StreamOrigin, client: Peer
) -> None:
    origin.answer("/events", ["one", b"two"])
    origin.answer("/cut", [b"half"], framing="length", end="reset")
    origin.answer("/none", status=204, fields=[("X-A", "1")])
    await client.send(GET + b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_head()
    assert [await client.read_chunk() for _ in range(3)] == [b"one", b"two", b""]
    await client.read_head()
    assert client.head_lines == [b"HTTP/1.1 204 No Content", b"X-A: 1"]
    await client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_head()
    assert b"Content-Length: 4" in client.head_lines
    assert await client.read_to_close() == (b"half", "reset")
    assert [each.path for each in origin.requests] == ["/events", "/none", "/cut"]
    assert not origin.waiting


async def test_a_fixed_answer_comes_once_the_request_is_complete(
    origin: StreamOrigin, client: Peer
) -> None:
    """As of a server that reads what it is asked; `body` is whole by then."""
    origin.answer("/up", ["all"])
    await client.send(UPLOAD + b"01234")
    await idle()
    assert not client.reader._buffer  # type: ignore[attr-defined]  # nothing came
    await client.send(b"56789")
    await client.read_head()
    assert await client.read_body() == b"all"
    (request,) = origin.requests
    assert request.body == b"0123456789"


async def test_a_request_that_has_a_fixed_answer_is_handed_to_nobody(
    origin: StreamOrigin,
) -> None:
    origin.answer("/x")
    with pytest.raises(ScriptError, match=r"answer\(\) is what answers /x\?a=1$"):
        await origin.request("/x?a=1")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_response_without_a_body_ends_with_its_head(
    origin: StreamOrigin, client: Peer, method: str
) -> None:
    for _ in range(2):  # so the next request on the connection has its turn
        await client.send(f"{method} /x HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        request = await origin.request("/x")
        await request.respond(204 if method == "GET" else 200)
        await client.read_head()
    request.finish()  # nothing more happens
    with pytest.raises(ScriptError, match=r"send\(\): the response to .* has no body"):
        await request.send("x")
    with pytest.raises(ScriptError, match=r"cut\(\) after the end of the response"):
        request.cut()


async def test_a_stream_begins_as_soon_as_it_is_asked_for(
    origin: StreamOrigin, client: Peer
) -> None:
    coming = asyncio.ensure_future(origin.stream("/events", [("X-A", "1")]))
    await client.send(GET)
    await client.read_head()  # the script has not gone on
    assert client.head_lines[1::2] == [b"Content-Type: text/event-stream", b"X-A: 1"]
    await (await coming).send_event("one")
    assert await client.read_chunk() == b"data: one\n\n"


async def test_a_slow_client_holds_the_script(origin: StreamOrigin) -> None:
    peer = await connect(origin.port, receive_bytes=65536)
    await peer.send(GET)
    request = await origin.request()
    await request.respond(framing="close")
    sending = asyncio.ensure_future(request.send(b"x" * 20_000_000))
    await idle()
    assert not sending.done()
    request.reset()  # once the kernel has all
    await idle()
    assert not sending.done()
    await peer.read_head()
    body, how = await peer.read_to_close()
    assert how == "reset"
    assert len(body) > 10_000_000  # the kernel drops what it has not sent yet
    await sending


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("await request.send_event('x')", r"send\(\) before respond\(\), for GET /"),
        ("request.finish()", r"finish\(\) before respond"),
        ("await request.respond(); await request.respond()", "after respond"),
        ("await request.respond(framing='length')", "needs length"),
        ("await request.respond(101)", "does not ask for another protocol"),
        ("await request.respond(fields=[('Content-Length', 'x')])", "Content-Length"),
        ("await request.send_interim(200)", r"status: expected .* 100 to 199"),
        ("request.cut(); request.finish()", r"finish\(\) after the end"),
        (
            "await request.respond(framing='length', length=3); request.finish()",
            "3 bytes of the Content-Length are missing",
        ),
    ],
)
async def test_what_no_upstream_can_do_is_an_error_of_the_script(
    origin: StreamOrigin, client: Peer, call: str, told: str
) -> None:
    await client.send(GET)
    request = await origin.request()
    scope: dict[str, object] = {"request": request}
    exec(f"async def script(): {call}", scope)
    with pytest.raises(ScriptError, match=told):
        await scope["script"]()  # type: ignore[operator]  # it is the function


async def test_a_wait_says_what_came_instead(client: Peer) -> None:
    async with StreamOrigin(guard_seconds=0) as origin:
        with pytest.raises(TimeoutError, match=r"no request came within 0 s.*: none"):
            await origin.request()
        peer = await connect(origin.port)
        await peer.send(UPLOAD)
        origin.guard_seconds = 5
        asked = asyncio.ensure_future(origin.request("/up", whole=False))
        request = await asked
        origin.waiting.append(request)
        origin.guard_seconds = 0
        with pytest.raises(
            TimeoutError,
            match=r"no request came for /x within 0 s; requests that wait to be taken: "
            r"POST /up \(body not complete\)",
        ):
            await origin.request("/x")
        peer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000, b"431"),
    ],
)
async def test_what_is_not_a_request_is_refused(
    client: Peer, sent: bytes, status: bytes
) -> None:
    await client.send(sent)
    await client.read_head()
    assert client.head_lines[0].split()[1] == status
    assert (await client.read_to_close())[1] == "fin"


async def test_a_request_body_that_is_malformed_is_refused_or_breaks_the_answer(
    origin: StreamOrigin, client: Peer
) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head + b"x\r\n")
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 400 Refused"
    assert b"malformed request body" in (await client.read_to_close())[0]
    other = await connect(origin.port)
    await other.send(head.replace(b"/a", b"/b"))
    request = await origin.request("/b", whole=False)
    await request.respond()
    await other.read_head()
    await other.send(b"x\r\n")
    assert (await other.read_to_close())[0] == b""
    await request.left()
    other.close()


async def test_requests_that_wait_for_their_turn_are_not_read_without_end(
    origin: StreamOrigin, client: Peer
) -> None:
    await client.send(GET)
    request = await origin.request()
    sending = asyncio.ensure_future(client.send(GET * 400_000))
    await idle()
    assert not sending.done()
    (connection,) = origin.connections
    assert len(connection.ahead) < 1_000_000
    await request.respond(204)
    request.finish()
    assert (await origin.request()).path == "/events"  # it goes on
    sending.cancel()


async def test_requests_are_taken_by_path_in_the_order_in_which_they_came(
    origin: StreamOrigin,
) -> None:
    peers = [await connect(origin.port) for _ in range(3)]
    waits = [asyncio.ensure_future(origin.request(path)) for path in ("/b?x=1", "/a")]
    for peer, target in zip(peers, (b"/a?y", b"/a", b"/b?x=1"), strict=True):
        await peer.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        await idle()
    assert [(await each).target for each in waits] == ["/b?x=1", "/a?y"]
    assert (await origin.request()).target == "/a"
    for peer in peers:
        peer.close()


async def test_it_is_an_upstream_of_the_proxy(
    origin: StreamOrigin, proxy: StartProxy
) -> None:
    running = await proxy({"/": {"target": origin.url}})
    client = await running.client()
    await client.send(GET)
    request = await origin.request("/events")
    await request.respond()
    await request.send_event("one")
    await client.read_head()
    assert await client.read_chunk() == b"data: one\n\n"
    request.cut()
    assert await client.read_to_close() == (b"", "fin")
    assert isinstance((await running.ended()).error, UpstreamTruncated)


def test_an_event_of_several_lines() -> None:
    assert event_bytes("a\nb", retry=5) == b"retry: 5\ndata: a\ndata: b\n\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
def test_each_line_of_data_is_a_field_whatever_ends_it(end: str) -> None:
    """WHATWG HTML §9.2.6: a lone CR ends a line, too."""
    sent = event_bytes(f"a{end}{end}b\u2028c{end}")
    assert sent == "data: a\ndata: \ndata: b\u2028c\ndata: \n\n".encode()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
def test_an_event_or_an_id_with_a_line_end_is_refused(end: str) -> None:
    with pytest.raises(ScriptError, match="event has a line end"):
        event_bytes("a", event=f"e{end}x")
    with pytest.raises(ScriptError, match="id has a line end"):
        event_bytes("a", id=f"1{end}")


def test_what_a_client_would_ignore_is_refused() -> None:
    with pytest.raises(ScriptError, match="event has a NUL"):
        event_bytes("a", event="e\0")
    with pytest.raises(ScriptError, match="id has a NUL"):
        event_bytes("a", id="1\0")
    with pytest.raises(ScriptError, match="retry is not a number of ms: -1"):
        event_bytes("a", retry=-1)


def test_data_is_text_or_what_json_can_say() -> None:
    assert event_bytes("你", id="你") == "id: 你\ndata: 你\n\n".encode()
    for data in (b"bytes", object(), {1: {2}}):
        with pytest.raises(ScriptError, match=r"data: expected text, or what JSON"):
            event_bytes(data)
    for text, event in (("\ud800", None), ("", "\ud800")):
        with pytest.raises(ScriptError, match="half of a surrogate pair"):
            event_bytes(text, event)


# -- what cannot be sent in a head

# Of a value, of a name, of a text that is not in a field; and what is said of it.
UNSENDABLE = ["a\r\nX: y", "a\rb", "a\nb", "a\0b", "a\x7fb", "你", "\ud800"]
HEADS = [
    pytest.param("respond", "fields", id="respond(fields)"),
    pytest.param("send_interim", "fields", id="send_interim(fields)"),
    pytest.param("finish", "trailers", id="finish(trailers)"),
    pytest.param("answer", "fields", id="answer(fields)"),
]


async def called(
    origin: StreamOrigin, client: Peer, call: str, argument: str, value: object
) -> None:
    """Call something of a script with one argument."""
    keywords = {argument: value}
    if call == "answer":
        origin.answer(**{"path": "/x", **keywords})  # type: ignore[arg-type]  # any
        return
    await client.send(GET)
    request = await origin.request()
    if call in ("finish", "send"):
        await request.respond()
    method = getattr(request, call)
    if call == "finish":
        method(**keywords)
    else:
        await method(**keywords)


@pytest.mark.any_loop
@pytest.mark.parametrize(("call", "argument"), HEADS)
@pytest.mark.parametrize("text", UNSENDABLE, ids=ascii)
@pytest.mark.parametrize("part", ["name", "value"])
async def test_no_field_has_what_a_head_cannot_have(
    origin: StreamOrigin, client: Peer, call: str, argument: str, text: str, part: str
) -> None:
    """RFC 9110 §5.5: else a line end in a value would be a field more."""
    field = (text, "x") if part == "name" else ("X-A", text)
    what = "not a valid name" if part == "name" else "the value of X-A cannot be sent"
    with pytest.raises(ScriptError, match=rf"^{call}\(\): {argument}: .*{what}"):
        await called(origin, client, call, argument, [field])


@pytest.mark.any_loop
@pytest.mark.parametrize(("call", "argument"), HEADS)
@pytest.mark.parametrize(
    "fields", ["ab", b"ab", {"X-A": "1"}, 5, [("a",)], [(b"a", b"b")], ["ab"]], ids=repr
)
async def test_fields_are_pairs_of_text(
    origin: StreamOrigin, client: Peer, call: str, argument: str, fields: object
) -> None:
    with pytest.raises(ScriptError, match=rf"^{call}\(\): {argument}: expected pairs"):
        await called(origin, client, call, argument, fields)


@pytest.mark.any_loop
@pytest.mark.parametrize("call", ["respond", "answer"])
@pytest.mark.parametrize("argument", ["reason", "content_type"])
@pytest.mark.parametrize("text", UNSENDABLE, ids=ascii)
async def test_no_text_of_a_head_has_what_a_head_cannot_have(
    origin: StreamOrigin, client: Peer, call: str, argument: str, text: str
) -> None:
    with pytest.raises(ScriptError, match=rf"^{call}\(\): {argument} cannot be sent"):
        await called(origin, client, call, argument, text)


@pytest.mark.any_loop
@pytest.mark.parametrize(
    ("call", "argument", "value"),
    [
        *(("respond", "status", each) for each in (-1, 0, 99, 103, 1000, "200", True)),
        *(("answer", "status", each) for each in (0, 101, 1000, 200.0, None)),
        *(("send_interim", "status", each) for each in (99, 101, 200, "103")),
        ("respond", "framing", "chunk"),
        ("answer", "framing", ""),
        ("answer", "end", "cut"),
        *(
            ("answer", "pieces", each)
            for each in ("ab", b"ab", [5], [None], ["\ud800"])
        ),
        *(("answer", "path", each) for each in ("", "x", "/a b", "/你", "/\n", b"/")),
        *(("respond", "length", each) for each in (-1, "5", True, 1.0)),
        *(("send", "data", each) for each in (5, None, ["a"], "\ud800")),
    ],
)
async def test_a_wrong_argument_is_named(
    origin: StreamOrigin, client: Peer, call: str, argument: str, value: object
) -> None:
    with pytest.raises(ScriptError, match=rf"^{call}\(\): {argument}\b"):
        await called(origin, client, call, argument, value)


async def test_an_answer_that_contradicts_itself_is_refused_at_once(
    origin: StreamOrigin,
) -> None:
    with pytest.raises(ScriptError, match=r"answer\(\): invalid Content-Length 'x'"):
        origin.answer("/x", fields=[("Content-Length", "x")])


async def test_a_reason_may_be_another_one(origin: StreamOrigin, client: Peer) -> None:
    origin.answer("/fixed", status=299, reason="Très bien")
    await client.send(GET)
    await (await origin.request()).respond(204, reason="")
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 204 "
    client = await connect(origin.port)
    await client.send(b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 299 Tr\xe8s bien"
    client.close()


async def test_no_request_has_a_path_that_is_not_one(origin: StreamOrigin) -> None:
    for path in ("", "events", "/a b", "/\r\n"):
        with pytest.raises(ScriptError, match=r"^request\(\): path"):
            await origin.request(path)


@pytest.mark.parametrize("seconds", [-1, "1", None, True, float("nan"), float("inf")])
def test_a_wait_takes_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="guard_seconds: expected a finite number"):
        StreamOrigin(guard_seconds=seconds)


@pytest.mark.any_loop
@pytest.mark.parametrize("port", [-1, 65536, "80", 1.5, True, None])
async def test_a_port_is_a_number_that_there_is(port: int) -> None:
    with pytest.raises(ValueError, match="port: expected 0 to 65535"):
        await StreamOrigin().start(port=port)


async def test_it_listens_once(origin: StreamOrigin) -> None:
    with pytest.raises(RuntimeError, match=f"listens already, on {origin.url}"):
        await origin.start()
