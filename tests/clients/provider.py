"""A provider's server: takes what precedes the question, and scripts the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, field

from tests.clients.answers import Answer, mcp
from tests.clients.table import Client
from tests.support.raw import Peer, Upstream, chunk

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLIENT_SECONDS = 60  # until a client asks: its library may still be imported

# What a server of the Model Context Protocol tells of itself: both revisions.
ABOUT: dict[str, dict[str, object]] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "server", "version": "1"},
    },
    "server/discover": {
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "server", "version": "1"},
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
    },
    "tools/list": {
        "tools": [{"name": "greet", "inputSchema": {"type": "object"}}],
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
    },
}


@dataclass
class Question:
    """A request for a stream; its answer is the test's."""

    peer: Peer
    method: str
    asked: dict[str, object]  # its body
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, client: Client) -> Answer:
        """What this client's provider would answer."""
        if client.family == "json-rpc":
            return mcp(self.asked["id"])
        return client.answer()

    async def begin(self, answer: Answer, pieces: tuple[bytes, ...] = ()) -> None:
        """Send the response head and these pieces."""
        await self.peer.send(answer.head)
        for piece in pieces:
            await self.peer.send(chunk(piece))

    async def finish(self, rest: bytes = b"") -> None:
        """Send the last chunk, behind a rest; the next request may come.

        A client that has all that it asked for may be gone before.
        """
        with contextlib.suppress(ConnectionError):
            await self.peer.send(rest + chunk(b""))
        self.answered.set()


class Provider(Upstream):
    """Questions come one by one, on connections that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: asyncio.Queue[Question] = asyncio.Queue()

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = LENGTH.search(head)
                body = await reader.readexactly(int(found[1])) if found else b""
                asked = json.loads(body) if body else {}
                if reply := preliminary(head, asked):
                    await peer.send(reply)
                    continue
                method = head[: head.index(b" ")].decode()
                question = Question(peer, method, asked)
                self.questions.put_nowait(question)
                await question.answered.wait()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def question(self) -> Question:
        """The next question of a client."""
        async with asyncio.timeout(CLIENT_SECONDS):
            return await self.questions.get()


def preliminary(head: bytes, asked: dict[str, object]) -> bytes | None:
    """The response to what comes before an MCP client's call; None to the call."""
    if b" /mcp " not in head.split(b"\r\n", 1)[0]:
        return None
    if not head.startswith(b"POST"):
        resumes = b"last-event-id" in head.lower()
        return None if resumes else response(b"405 Method Not Allowed")
    if "id" not in asked:
        return response(b"202 Accepted")
    result = ABOUT.get(str(asked["method"]))
    if result is None:
        return None
    value = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
    return response(b"200 OK", json.dumps(value).encode())


def response(status: bytes, body: bytes = b"") -> bytes:
    """A whole response."""
    fields = b"Content-Type: application/json\r\n" if body else b""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        fields,
        len(body),
        body,
    )
