"""Whole answers below /_unbuffered/, to clients anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tests.support.looking import Running
from tests.support.raw import Peer

# As it comes from another machine, through a proxy in front: no address, no name and no
# connection of this machine.
ELSEWHERE = "Host: proxy.example\r\nX-Forwarded-For: 192.0.2.7\r\nVia: 1.1 front\r\n"
NAVIGATES = (
    "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
)


@dataclass
class Answer:
    """One, read to its end."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        """The value of a field that is there once, or not at all."""
        found = [value for key, value in self.fields if key == name.lower()]
        assert len(found) <= 1, (name, found)
        return found[0] if found else None

    @property
    def message(self) -> str:
        """What an error says to a program."""
        error: dict[str, Any] = msgspec.json.decode(self.body)["error"]
        assert error["status"] == self.status
        return str(error["message"])

    @property
    def cookie(self) -> str:
        """What a browser sends back."""
        return (self.get("set-cookie") or "").partition(";")[0]


async def answered(peer: Peer, request: bytes) -> Answer:
    """Send a request, and read the answer to its end."""
    await peer.send(request)
    first, *lines = (await peer.read_head()).decode("latin-1").splitlines()[:-1]
    fields = [line.partition(": ")[::2] for line in lines]
    answer = Answer(
        int(first.split(" ")[1]), [(name.lower(), value) for name, value in fields], b""
    )
    if not request.startswith(b"HEAD "):
        answer.body = await peer.read(int(answer.get("content-length") or 0))
    return answer


def ask(path: str = "", fields: str = "", method: str = "GET") -> bytes:
    """A request from another machine, through a proxy in front."""
    head = f"{method} /_unbuffered/{path} HTTP/1.1\r\n{ELSEWHERE}{fields}\r\n"
    return head.encode("latin-1")


async def get(running: Running, path: str = "", fields: str = "") -> Answer:
    """The answer to it."""
    return await answered(await running.client(), ask(path, fields))


def form(token: str, fields: str = "") -> bytes:
    """What the form sends."""
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    body = f"token={token}"
    head = f"{kind}Content-Length: {len(body)}\r\n{fields}"
    return ask("login", head, "POST") + body.encode()
