"""Whatever an upstream sends: nothing raises, and no broken end looks clean.

What reaches the client is read by h11. A response that h11 calls complete is
one that the proxy called complete, and of what the upstream sent.
"""

from __future__ import annotations

import h11

from fuzz.memory import in_loop
from proxy.timeline import Ending
from tests.support.memory import MemoryProxy, joined

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
)


def check(data: bytes) -> None:
    """Two bytes choose the request and a cut; the rest is what the upstream sends."""
    if len(data) > 2:  # of nothing at all, a GET is repeated elsewhere
        request, place, data = REQUESTS[data[0] % 4], data[1], data[2:]
        in_loop(lambda: check_cuts(request, data, place))


def check_cuts(request: bytes, data: bytes, place: int) -> None:
    whole = relayed(request, [data])
    parts = [data[n : n + 1] for n in range(min(len(data), 200))]
    for cut in ([data[:place], data[place:]], [*parts, data[200:]]):
        assert relayed(request, cut) == whole


def relayed(request: bytes, parts: list[bytes]) -> tuple[bytes, bool]:
    """What the client got, and whether it was told that all of it is there."""
    proxy = MemoryProxy()
    proxy.client.receive(request)
    server = next(each for each in proxy.upstreams if each.written)
    for part in parts:
        server.receive(part)
    server.end(None)
    assert proxy.timelines, "no response, and no failure"
    complete = proxy.timelines[0].ending is Ending.COMPLETE
    answers = proxy.client.written
    status = proxy.timelines[0].status
    own = not complete and status == 502
    assert read_by_h11(request, answers) is (complete or own)
    proxy.stop()
    if own:
        return b"502", True
    return without_date(joined(answers)), complete


def without_date(answers: bytes) -> bytes:
    lines = answers.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"Date: "))


def read_by_h11(request: bytes, answers: bytes) -> bool:
    """Is there one whole response, and nothing after it?"""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    method = request.partition(b" ")[0]
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answers)
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            return False
        if isinstance(event, h11.EndOfMessage):
            assert connection.trailing_data[0] == b""
            return True
