"""What tests that show a negative rest on: once all is idle, all has happened."""

from __future__ import annotations

from tests.conftest import StartProxy
from tests.support.raw import Upstream, idle

POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_what_is_under_way_has_arrived_when_all_is_idle(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Through four proxies, forth and back."""
    running = await proxy({"/": {"target": upstream.url}})
    for _ in range(3):
        running = await proxy({"/": {"target": running.url}})
    client = await running.client()
    client.writer.write(POST)
    await idle()
    assert upstream.unexpected == 1
    server = await upstream.request()
    server.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await idle()
    client.reader.feed_eof()  # what has not come by now does not come
    assert (await client.reader.read()).endswith(b"\r\n\r\nok")
