"""Somebody who looks into a proxy: raw requests below /_unbuffered/."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from tests.support.raw import Peer

OWN = "Connection: keep-alive\r\n"  # who asks for himself; no hop lets it pass


class Running(Protocol):
    """A proxy that can be reached: in this process, or a command."""

    async def client(self) -> Peer:
        """A raw client, connected."""


def request(path: str, fields: str = "", host: str = "localhost") -> bytes:
    """GET below /_unbuffered/."""
    head = f"GET /_unbuffered/{path} HTTP/1.1\r\nHost: {host}\r\n{OWN}{fields}\r\n"
    return head.encode()


async def asked(
    running: Running, path: str, fields: str = "", host: str = "localhost"
) -> tuple[int, bytes]:
    """Status and body of a whole answer."""
    peer = await running.client()
    await peer.send(request(path, fields, host))
    return await answer(peer)


async def answer(peer: Peer) -> tuple[int, bytes]:
    """Read a whole answer."""
    head = await peer.read_head()
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"content-length":
            length = int(value)
    return int(head.split(b" ")[1]), await peer.read(length)


class Feed:
    """An event stream of ours, read event by event."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.rest = b""

    async def event(self) -> tuple[str, Any]:
        """The next event: its name, its data."""
        while b"\n\n" not in self.rest:
            self.rest += await self.peer.read_chunk()
        told, _, self.rest = self.rest.partition(b"\n\n")
        name, _, data = told.partition(b"\ndata: ")
        return name.removeprefix(b"event: ").decode(), json.loads(data)

    async def next(self, name: str) -> Any:
        """The data of the next event of that name."""
        while True:
            found, data = await self.event()
            if found == name:
                return data

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Of the next event of the list: its rows, by target."""
        told = await self.next("exchanges")
        return {row["target"]: row for row in (*told["open"], *told["ended"])}


@asynccontextmanager
async def looking(running: Running, path: str = "feed") -> AsyncIterator[Feed]:
    """Look at a feed."""
    peer = await running.client()
    await peer.send(request(path))
    head = await peer.read_head()
    assert head.startswith(b"HTTP/1.1 200 "), head
    try:
        yield Feed(peer)
    finally:
        peer.writer.transport.abort()


def contents(pieces: list[dict[str, Any]], side: str) -> list[bytes]:
    """The bytes of the pieces of one side."""
    return [base64.b64decode(p["base64"]) for p in pieces if p["side"] == side]
