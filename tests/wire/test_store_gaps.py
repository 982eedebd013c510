"""What the owner has dropped of a stream is dropped for clients of other nodes, too."""

from __future__ import annotations

import pytest

from tests.support.kept import ask, field, stream_id
from tests.support.raw import Upstream, became, chunk
from tests.support.shared_streams import (
    StartNodes,
    begun,
    expect,
    get,
    keeping,
    numbered,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]

KEPT = 110_000  # bytes


@pytest.mark.parametrize("part", [b"", b"data: " + b"y" * 60_000], ids=["", "part"])
@pytest.mark.parametrize("size", [1_000, 35_000, 90_000])
async def test_a_cursor_before_a_gap_is_answered_alike_at_all_nodes(
    start: StartNodes, upstream: Upstream, size: int, part: bytes
) -> None:
    """Also if the only complete event is the one before the first that is kept.

    Where the gap ends is each node's own: it depends on how the events came there.
    """
    async with start(keeping(upstream, max_bytes=KEPT), count=2) as both:
        client, peer, id = await begun(both[0], upstream)
        text, last = b"x" * size, 4 * KEPT // size
        for number in range(2, last + 1):
            await peer.send(chunk(b"data: %b\n\n" % text))
            await expect(client, numbered(id, number, text))
        if part:
            await peer.send(chunk(part))
            await expect(client, part)
        await became(lambda: not both.store(0).state().unwritten)
        for each in (both[0], both[1]):
            request = ask(Last_Event_ID=f"{id.decode()}.1")
            back = await get(each, b"/", Last_Event_ID=f"{id.decode()}.1")
            assert stream_id(back) == id
            gap = field(back.head, b"last-event-id")
            assert gap is not None
            first = int(gap.rpartition(b".")[2]) + 1
            kept = [numbered(id, number, text) for number in range(first, last + 1)]
            await expect(back, b"".join(kept) + part)
            other = await each.client()
            await other.send(request.replace(b"text/event-stream", b"*/*"))
            assert (await other.read_head()).startswith(b"HTTP/1.1 410 ")
