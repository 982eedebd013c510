"""Pages of other origins: who may read a stream may read what is said of it."""

from __future__ import annotations

import pytest

from proxy.origin.origin_request import OriginRequest
from proxy.origin.stream_origin import StreamOrigin
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import ask, field, post, stream_id
from tests.support.raw import Peer
from tests.support.running import RunningProxy

PAGE, OTHER = "http://page.test", "http://other.test"
ALLOWING = [
    ("Access-Control-Allow-Origin", PAGE),
    ("Access-Control-Allow-Credentials", "true"),
]
RESUME = {
    "ids": True,
    "bind": ["X-User"],
    "key": "body:id",
    "path": "/{key}/stream",
    "max_bytes": 2048,
}
BODY = b'{"id":"one"}'
KEY = b"/one/stream"
ADDRESS = b"/_unbuffered/streams/%b"


async def begun(
    running: RunningProxy, origin: StreamOrigin, question: bytes
) -> tuple[Peer, OriginRequest]:
    """A stream whose client has its head."""
    client = await running.client()
    await client.send(question)
    request = await origin.request()
    await request.respond(fields=ALLOWING)
    await client.read_head()
    return client, request


async def answered(
    proxy: StartProxy, origin: StreamOrigin, clock: ManualClock, events: int
) -> tuple[RunningProxy, bytes]:
    """A proxy that has kept the answer to a page, read to its end; its ID."""
    table = {"target": origin.url, "resume": RESUME}
    running = await proxy({"/": table}, clock=clock)
    question = post(b"/", BODY, Origin=PAGE, X_User="a", Idempotency_Key="k")
    client, request = await begun(running, origin, question)
    for number in range(events):
        await request.send_event(f"{number:0100}")
        assert await client.read_chunk()
    request.finish()
    assert await client.read_chunk() == b""
    await running.ended()
    return running, stream_id(client)


def as_sent(id: bytes, what: str, page: str, user: str) -> bytes:
    """The requests of the tests below, by a name."""
    who = {"Origin": page, "X_User": user}
    address = ADDRESS % id
    match what.split():
        case ["EventSource", number]:
            return ask(b"/", **who, Last_Event_ID=f"{id.decode()}.{number}")
        case ["POST", number]:
            return post(b"/", BODY, **who, Last_Event_ID=f"{id.decode()}.{number}")
        case ["key"]:
            return ask(KEY, **who)
        case ["repeated"]:
            return post(b"/", BODY, **who, Idempotency_Key="k")
        case ["address", "PUT"]:
            return ask(address, **who).replace(b"GET", b"PUT", 1)
        case ["address", "event"]:
            return ask(address, **who, Last_Event_ID="unknown")
        case ["address"]:
            return ask(address, **who)
        case ["address", query]:
            return ask(address + query.encode(), **who)
        case _:
            raise ValueError(what)


SHORT = [
    ("EventSource 2", 204),
    ("POST 2", 200),
    ("key", 204),
    ("address PUT", 405),
    ("address event", 410),
    ("address ?from=-1", 400),
    ("address ?from=9999", 400),
]
# Of a stream whose beginning is no longer kept.
LONG = [
    ("POST 1", 410),
    ("key", 204),
    ("repeated", 410),
    ("address", 410),
    ("address ?from=1", 410),
]
ALL = [*((2, *each) for each in SHORT), *((40, *each) for each in LONG)]


@pytest.mark.parametrize(("events", "what", "status"), ALL)
async def test_what_is_said_of_a_stream_is_for_the_pages_that_may_read_it(
    proxy: StartProxy,
    origin: StreamOrigin,
    clock: ManualClock,
    events: int,
    what: str,
    status: int,
) -> None:
    running, id = await answered(proxy, origin, clock, events)
    for page, allowed in ((PAGE, PAGE.encode()), (OTHER, None)):
        client = await running.client()
        await client.send(as_sent(id, what, page, "a"))
        head = await client.read_head()
        # Who comes back from a 204 to EventSource gets an empty event stream.
        assert int(head.split()[1]) in (status, status if allowed else 200)
        assert field(head, b"access-control-allow-origin") == allowed
        credentials = field(head, b"access-control-allow-credentials")
        assert credentials == (b"true" if allowed else None)
    assert len(origin.requests) == 1


async def test_a_page_learns_that_the_beginning_of_an_answer_is_gone(
    proxy: StartProxy, origin: StreamOrigin, clock: ManualClock
) -> None:
    table = {"target": origin.url, "resume": RESUME}
    running = await proxy({"/": table}, clock=clock)
    question = post(b"/", BODY, Origin=PAGE, X_User="a")
    client, request = await begun(running, origin, question)
    for number in range(40):
        await request.send_event(f"{number:0100}")
        assert await client.read_chunk()
    again = await running.client()
    await again.send(as_sent(stream_id(client), "key", PAGE, "a"))
    head = await again.read_head()
    assert head.startswith(b"HTTP/1.1 410 ")
    assert field(head, b"access-control-allow-origin") == PAGE.encode()


@pytest.mark.parametrize("what", ["key", "address PUT", "address ?from=-1"])
async def test_a_page_does_not_learn_of_the_stream_of_somebody_else(
    proxy: StartProxy, origin: StreamOrigin, clock: ManualClock, what: str
) -> None:
    running, id = await answered(proxy, origin, clock, 2)
    client = await running.client()
    await client.send(as_sent(id, what, PAGE, "b"))
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 404 ")
    assert field(head, b"access-control-allow-origin") is None
