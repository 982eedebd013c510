"""Other workers of the same proxy, asked through their Unix sockets.

Each worker serves the same under /_unbuffered/ and answers for itself alone
when it is asked with `own`. One that does not answer is left out: what is
shown is then less, never late.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from proxy.inspector.browser_connections import Browser
from proxy.inspector.own_response import OwnResponse, event

OWN = "own"
PATIENCE_SECONDS = 2.0  # for a worker to answer
AGAIN_SECONDS = 1.0  # until a worker whose feed broke is asked again
MOST_BYTES = 16 * 1024 * 1024  # of one answer, of one event
# A worker that does not answer, not as it should, or with more than is read.
UNTOLD = (
    *(OSError, EOFError, TimeoutError, ValueError, IndexError),
    asyncio.LimitOverrunError,
)


class PeerEvent(msgspec.Struct):
    """What has to be known of an event that is passed on."""

    class Known(msgspec.Struct):
        id: str

    open: list[Known] = []
    ended: list[Known] = []
    gone: list[str] = []
    worker: int = 0


class PeerStreams(msgspec.Struct):
    """The same of kept streams."""

    streams: list[PeerEvent.Known] = []
    gone: list[str] = []
    worker: int = 0


def owned(answer: OwnResponse, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine for an answer; it is cancelled when the answer is over."""
    task = asyncio.get_running_loop().create_task(contained(answer, coroutine))
    before = answer.on_end

    def end() -> None:
        if task is not asyncio.current_task():
            task.cancel()
        if before is not None:
            before()

    answer.on_end = end


async def contained(answer: OwnResponse, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it; an answer does not wait for what has raised."""
    try:
        await coroutine
    except Exception as error:
        answer.crashed("a request to another worker", error)


@contextlib.asynccontextmanager
async def asked(path: str, target: str) -> AsyncIterator[asyncio.StreamReader]:
    """Ask a worker; its answer, from the status line on.

    For the last time on its connection, so that the body is what follows the head
    up to the close.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_unix_connection(path, limit=MOST_BYTES)
    try:
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        yield reader
    finally:
        writer.transport.abort()


async def status_of(reader: asyncio.StreamReader) -> int:
    """Read the head of an answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1])


async def fetch(path: str, target: str) -> tuple[int, bytes] | None:
    """Status and body of a whole answer; None: that worker does not answer."""
    try:
        async with asked(path, target) as reader:
            status = await status_of(reader)
            async with asyncio.timeout(PATIENCE_SECONDS):
                return status, await reader.read(-1)
    except UNTOLD:
        return None


async def fetch_all(paths: tuple[str, ...], target: str) -> list[bytes]:
    """What all that answer with 200 say, asked at the same time."""
    answers = await asyncio.gather(*(fetch(path, target) for path in paths))
    return [found[1] for found in answers if found is not None and found[0] == 200]


async def pass_on(
    paths: tuple[str, ...], target: str, begin: Callable[[], OwnResponse]
) -> bool:
    """Find the worker that has an event stream, and pass it on; False: none has."""
    for path in paths:
        with contextlib.suppress(*UNTOLD):
            async with asked(path, target) as reader:
                if await status_of(reader) != 200:
                    continue
                answer = begin()
                while data := await reader.read(64 * 1024):
                    answer.write(data)
                    await answer.ready()
                answer.end()
                return True
    return False


class PeerWorker:
    """The feed of another worker, merged into ours."""

    def __init__(
        self, path: str, answer: OwnResponse, tell: Callable[..., None]
    ) -> None:
        self.path = path
        self.answer = answer
        self.tell = tell
        self.shown: set[str] = set()
        self.streams: set[str] = set()  # that are kept
        self.worker = 0

    async def run(self, target: str) -> None:
        """Pass on what it tells, until cancelled."""
        while True:
            with contextlib.suppress(*UNTOLD):
                async with asked(self.path, target) as reader:
                    if await status_of(reader) == 200:
                        while True:
                            self.take(await reader.readuntil(b"\n\n"))
                            await self.answer.ready()
            self.lost()
            await asyncio.sleep(AGAIN_SECONDS)

    def take(self, told: bytes) -> None:
        """One event."""
        name, _, data = told.partition(b"\ndata: ")
        if name == b"event: exchanges":
            known = msgspec.json.decode(data, type=PeerEvent)
            self.worker = known.worker
            self.shown.update(each.id for each in (*known.open, *known.ended))
            self.shown.difference_update(known.gone)
            self.answer.write(told)
        elif name == b"event: streams":
            streams = msgspec.json.decode(data, type=PeerStreams)
            self.worker = streams.worker
            self.streams.update(each.id for each in streams.streams)
            self.streams.difference_update(streams.gone)
            self.answer.write(told)
        elif name == b"event: warnings":
            self.tell(self.path, warnings=msgspec.json.decode(data, type=list[Any]))
        elif name == b"event: browsers":
            self.tell(self.path, browsers=msgspec.json.decode(data, type=list[Browser]))

    def lost(self) -> None:
        """Nothing is known of that worker's exchanges any more."""
        if self.shown:
            told = {"worker": self.worker, "gone": sorted(self.shown), "more": 0}
            told |= {"open": [], "ended": []}
            self.shown.clear()
            self.answer.write(event(b"exchanges", msgspec.json.encode(told)))
        if self.streams:
            told = {"worker": self.worker, "gone": sorted(self.streams), "more": 0}
            told |= {"streams": []}
            self.streams.clear()
            self.answer.write(event(b"streams", msgspec.json.encode(told)))
        self.tell(self.path, warnings=[], browsers=[])
