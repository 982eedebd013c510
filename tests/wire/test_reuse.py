"""A kept connection that ended, or spoke, in the turn in which it is needed."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.blunt import Blunt, blunt_read
from tests.support.raw import became

POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d"


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(b"", id="it closed"),
        pytest.param(OK % 99, id="it spoke unasked"),
    ],
)
async def test_it_is_not_used_even_before_the_loop_has_told_of_it(
    proxy: StartProxy, last: bytes
) -> None:
    """RFC 9112 §9.3.1 forbids to repeat a POST: so it must not go out in vain."""
    with Blunt() as upstream:
        running = await proxy({"/": {"target": upstream.url}})
        client = await running.client()
        await client.send(POST % 0)
        server = await upstream.connection()
        await blunt_read(server, b"hi")
        server.send(OK % 0)
        await client.read_head()
        assert await client.read(2) == b"00"
        await became(lambda: running.idle_connections == 1)
        # In one turn: the request first, then the end of what it would go to.
        ours: socket.socket = client.writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(ours.fileno())) as twin:
            twin.send(POST % 1)
        if last:
            server.send(last)
        else:
            server.close()
        fresh = await upstream.connection()
        await blunt_read(fresh, b"hi")
        fresh.send(OK % 1)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.read(2) == b"01"
        for _ in range(2):
            assert (await running.ended()).ending is Ending.COMPLETE
        server.close()
        fresh.close()
