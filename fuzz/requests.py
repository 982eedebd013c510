"""Whatever a client sends: nothing raises, and nothing ambiguous goes on.

What reaches the upstream is read by h11. It must find whole requests, as many
as the proxy means to have sent, and nothing else; and the same ones however
the client's bytes are cut.
"""

from __future__ import annotations

import re

import h11

from fuzz.heads import in_ascii
from fuzz.memory import in_loop
from tests.support.memory import MemoryProxy, MemoryTransport, whole_requests
from tests.support.messages import OK, REQUEST_ID

STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) [^\r]*+\r\n")
ALLOWED = {b"200", b"400", b"404", b"413", b"414", b"431", b"501", b"505"}


def check(data: bytes) -> None:
    """The first byte says where it is cut; the rest is what the client sends."""
    if data:
        place, data = data[0], data[1:]
        in_loop(lambda: check_cuts(data, place))


def check_cuts(data: bytes, place: int) -> None:
    whole = served([data])
    assert served([data[:place], data[place:]]) == whole
    parts = [data[n : n + 1] for n in range(min(len(data), 200))]
    assert served([*parts, data[200:]]) == whole


def served(parts: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The statuses that the client got, the requests that the upstream got."""
    proxy = MemoryProxy()
    answered = 0
    for part in parts:
        proxy.client.receive(part)
        for server in proxy.upstreams:
            while len(whole_requests(server.written)) > answered and not server.closed:
                answered += 1
                server.receive(OK)
    used = [each for each in proxy.upstreams if each.written]
    requests = [
        REQUEST_ID.sub(b"", request) for each in used for request in read_by_h11(each)
    ]
    statuses = STATUS.findall(proxy.client.written)
    assert set(statuses) <= ALLOWED, statuses
    proxy.stop()
    return statuses, requests


def read_by_h11(server: MemoryTransport) -> list[bytes]:
    """The whole requests; a last one may be cut, and then its connection is."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(lines_in_ascii(server.written))
    requests: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            break
        if isinstance(event, h11.EndOfMessage):
            requests.append(whole_requests(server.written)[len(requests)])
            connection.send(
                h11.Response(status_code=200, headers=[("content-length", "0")])
            )
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        else:
            assert isinstance(event, h11.Request | h11.Data), event
    assert len(requests) == len(whole_requests(server.written))
    return requests


def lines_in_ascii(data: bytes) -> bytes:
    """h11 takes ASCII only in a target; where a request begins is known."""
    for request in {each.partition(b"\r\n")[0] for each in heads(data)}:
        data = data.replace(request, in_ascii(request))
    return data


def heads(data: bytes) -> list[bytes]:
    return re.findall(rb"(?:^|\r\n|ok)([!-~]+ [^\r\n]+ HTTP/1\.1)\r\n", data)
