"""An answer comes before the end of an upload: the rest is read, and thrown away.

To close on unread bytes resets the connection, and a client that sends on finds out
by a failed write instead of by the answer (RFC 9112 §9.6).
"""

from __future__ import annotations

import pytest

from proxy.transport.client_timeouts import (
    LINGER_AT_MOST_SECONDS,
    LINGER_SECONDS,
)
from tests.conftest import ManualClock, StartProxy
from tests.support.flood import PIECE
from tests.support.raw import Peer, Upstream, became, idle
from tests.support.running import RunningProxy

SIZE = 12 << 20
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


async def refused(running: RunningProxy, upstream: Upstream) -> Peer:
    """A client that is answered, and goes on uploading."""
    client, server = await running.begin(upstream, UPLOAD)
    own = running.connection
    await server.send(REFUSAL)
    await became(lambda: own.waiting_for == "close")
    return client


async def test_a_client_that_reads_after_a_long_upload_reads_its_answer(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """As most do that do not say Expect: 100-continue."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await refused(running, upstream)
    for _ in range(SIZE // PIECE):
        await client.send(bytes(PIECE))
    assert (await client.read_head()).startswith(b"HTTP/1.1 413 ")
    assert await client.read_to_close() == (b"no", "fin")
    assert running.connections  # until the client closes, or is silent
    client.close()
    await running.connected(0)


async def test_it_may_take_its_time(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await refused(running, upstream)
    own = running.connection
    for _ in range(int(LINGER_AT_MOST_SECONDS / LINGER_SECONDS) - 1):
        await client.send(b"more")
        await idle()
        clock.advance(LINGER_SECONDS)
        running.tick()
        assert not own.closed


@pytest.mark.parametrize("sends", ["nothing", "for ever"])
async def test_but_not_for_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, sends: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await refused(running, upstream)
    passed = 0.0
    while running.connections:
        if sends == "for ever":
            await client.send(b"more")
            await idle()
        clock.advance(LINGER_SECONDS)
        passed += LINGER_SECONDS
        running.tick()
        await idle()
    wanted = LINGER_SECONDS if sends == "nothing" else LINGER_AT_MOST_SECONDS
    assert wanted <= passed <= wanted + LINGER_SECONDS
