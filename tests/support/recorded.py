"""What an inspector shows that was opened late: by HTTP/1.1, whatever others speak."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from tests.support.looking import Feed, answer, request
from tests.support.raw import Peer, connect
from tests.support.running import RunningProxy


class Shown(NamedTuple):
    """All that is told of one exchange."""

    row: dict[str, Any]
    detail: dict[str, Any]
    pieces: list[dict[str, Any]]
    dropped: int  # pieces

    @property
    def sides(self) -> list[tuple[str, bytes]]:
        """Whose pieces they are, and what."""
        return [(each["side"], content(each)) for each in self.pieces]

    @property
    def times(self) -> list[tuple[float, float | None]]:
        return [(each["arrived"], each["sent"]) for each in self.pieces]


def content(piece: dict[str, Any]) -> bytes:
    return base64.b64decode(piece["base64"])


async def opened(running: RunningProxy, path: str) -> Peer:
    """A request below /_unbuffered/, whose answer is still to be read."""
    peer = await connect(running.port)
    running.clients.append(peer)
    await peer.send(request(path))
    return peer


async def rows(running: RunningProxy) -> dict[str, dict[str, Any]]:
    """All rows, by target."""
    peer = await opened(running, "feed")
    await peer.read_head()
    found = await Feed(peer).rows()
    peer.close()
    return found


async def detail(running: RunningProxy, path: str) -> Any:
    """What is told by a path, or the status instead."""
    status, body = await answer(await opened(running, path))
    return json.loads(body) if status == 200 else status


async def shown(running: RunningProxy, target: str) -> Shown:
    """Open the inspector, and in it the exchange of a target; it has ended or not."""
    row = (await rows(running))[target]
    told = await detail(running, f"exchanges/{row['id']}")
    peer = await opened(running, f"exchanges/{row['id']}/feed")
    await peer.read_head()
    pieces: list[dict[str, Any]] = []
    dropped, feed = 0, Feed(peer)
    while True:
        name, data = await feed.event()
        if name == "pieces":
            pieces += data
        elif name == "dropped":
            dropped = data["pieces"]
        elif name == "end" or (name == "row" and row["phase"] != "over"):
            peer.close()
            return Shown(row, told, pieces, dropped)
