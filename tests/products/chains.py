"""Chains of our own for `--via`: back ends and hops of which the answer is known.

Each chain is one back end and hops before it, all over real sockets. `chain` says from
the back end to the browser what stands there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import ClientError, ClientSession, web

from proxy.tools.doctor.verdict import Kind

SEEDS = random.Random()  # of answers; begun anew by each chain
Write = Callable[[bytes], Awaitable[None]]
Pieces = AsyncIterator[bytes]


# -- back ends: what they say, and when --------------------------------------------


async def steady(count: int = 12, every: float = 0.2) -> Pieces:
    """The same texts for each request."""
    for number in range(count):
        yield b"data: event %d\n\n" % number
        await asyncio.sleep(every)


async def each_its_own() -> Pieces:
    """Other texts for each request, with `id:`."""
    own = uuid.uuid4()
    for number in range(12):
        yield f"id: {number}\ndata: {own} {number}\n\n".encode()
        await asyncio.sleep(0.2)


async def model() -> Pieces:
    """Other texts, another pace and another number for each request; no `id:`."""
    chooser = random.Random(SEEDS.random())
    own = uuid.uuid4()
    await asyncio.sleep(chooser.uniform(0.1, 0.9))
    for number in range(chooser.randrange(60, 90)):
        yield f'data: {{"id": "{own}", "delta": "{number}"}}\n\n'.encode()
        await asyncio.sleep(chooser.uniform(0.01, 0.07))
    yield b"data: [DONE]\n\n"


async def long() -> Pieces:
    async for each in steady(50, 0.25):
        yield each


async def quiet_first() -> Pieces:
    """The head at once, the first event after a while."""
    await asyncio.sleep(1.5)
    async for each in steady(8):
        yield each


async def silence() -> Pieces:
    """Nothing for a while in the middle."""
    for number in range(8):
        yield b"data: event %d\n\n" % number
        await asyncio.sleep(2.5 if number == 3 else 0.1)


async def in_bursts() -> Pieces:
    """Groups of five, half a second apart, as this sender has them."""
    for group in range(6):
        yield b"".join(b"data: event %d\n\n" % (group * 5 + n) for n in range(5))
        await asyncio.sleep(0.5)


async def plain() -> Pieces:
    """No events: words."""
    for number in range(12):
        yield b"word%d " % number
        await asyncio.sleep(0.2)


# -- hops: what they do to it ------------------------------------------------------


async def passed(source: Pieces, write: Write) -> None:
    async for piece in source:
        await write(piece)


async def collected(source: Pieces, write: Write) -> None:
    """All at the end, the head too."""
    await write(b"".join([piece async for piece in source]))


async def at_intervals(source: Pieces, write: Write) -> None:
    """What has come, every 0.7 s."""
    loop = asyncio.get_running_loop()
    kept, due = b"", loop.time() + 0.7
    async for piece in source:
        kept += piece
        if loop.time() >= due:
            await write(kept)
            kept, due = b"", loop.time() + 0.7
    await write(kept)


async def one_behind(source: Pieces, write: Write) -> None:
    """Each with the next one."""
    kept = b""
    async for piece in source:
        if kept:
            await write(kept)
        kept = piece
    await write(kept)


async def renumbered(source: Pieces, write: Write) -> None:
    """Texts of its own, for each request another; nothing is held."""
    own = uuid.uuid4().hex.encode()
    async for piece in source:
        await write(piece.replace(b"data: ", b"data: " + own + b" "))


async def renumbered_and_held(source: Pieces, write: Write) -> None:
    async def all_of_it() -> Pieces:
        yield b"".join([piece async for piece in source])

    await renumbered(all_of_it(), write)


async def cut(source: Pieces, write: Write) -> None:
    """The connection breaks after five."""
    await first_five(source, write)
    raise ConnectionError


async def first_five(source: Pieces, write: Write) -> None:
    """It ends after five as if that were all."""
    count = 0
    async for piece in source:
        await write(piece)
        count += 1
        if count == 5:
            return


async def impatient(source: Pieces, write: Write) -> None:
    """It breaks where nothing comes for a second."""
    waiting = aiter(source)
    while True:
        coming = asyncio.ensure_future(anext(waiting))
        done, _ = await asyncio.wait({coming}, timeout=1.0)
        if not done:
            coming.cancel()
            raise ConnectionError
        try:
            await write(coming.result())
        except StopAsyncIteration:
            return


async def late_by(source: Pieces, write: Write) -> None:
    """The head at once, each event 0.3 s later."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    async def fill() -> None:
        async for piece in source:
            queue.put_nowait((loop.time() + 0.3, piece))
        queue.put_nowait(None)

    filling = asyncio.ensure_future(fill())
    try:
        while (item := await queue.get()) is not None:
            await asyncio.sleep(item[0] - loop.time())
            await write(item[1])
    finally:
        filling.cancel()


def squeezed(*, flushed: bool) -> Callable[[Pieces, Write], Awaitable[None]]:
    """Compressed, flushed after each piece or not at all."""

    async def relay(source: Pieces, write: Write) -> None:
        packer = zlib.compressobj(wbits=31)
        async for piece in source:
            data = packer.compress(piece)
            if flushed:
                data += packer.flush(zlib.Z_SYNC_FLUSH)
            if data:
                await write(data)
        await write(packer.flush())

    return relay


async def squeezed_whole(source: Pieces, write: Write) -> None:
    """Compressed as a whole: not even the beginning of the coding comes before."""
    packer = zlib.compressobj(wbits=31)
    whole = b"".join([packer.compress(piece) async for piece in source])
    await write(whole + packer.flush())


@dataclass(frozen=True)
class Hop:
    """`late_head`: with the first piece. `far`: seconds of the way to it.

    One with a coding passes on what is asked for without.
    """

    relay: Callable[[Pieces, Write], Awaitable[None]] = passed
    late_head: bool = False
    coding: str = ""
    far: float = 0.0
    status: int = 200


PASS = Hop()
HOPS = {
    "passes": PASS,
    "collects": Hop(collected, late_head=True),
    "collects the body": Hop(collected),
    "sends at intervals": Hop(at_intervals),
    "is one behind": Hop(one_behind),
    "holds the head": Hop(late_head=True),
    "renumbers": Hop(renumbered),
    "renumbers and collects": Hop(renumbered_and_held),
    "cuts": Hop(cut),
    "ends early": Hop(first_five),
    "is impatient": Hop(impatient),
    "delays each": Hop(late_by),
    "is far": Hop(far=0.35),
    "compresses": Hop(squeezed(flushed=True), coding="gzip"),
    "compresses and holds": Hop(squeezed(flushed=False), coding="gzip"),
    "keeps its head": Hop(squeezed_whole, late_head=True, coding="gzip"),
    "fails": Hop(status=502),
}
BACK_ENDS: dict[str, Callable[[], Pieces]] = {
    "steady": steady,
    "long": long,
    "own": each_its_own,
    "model": model,
    "quiet first": quiet_first,
    "silence": silence,
    "in bursts": in_bursts,
    "words": plain,
}


@dataclass(frozen=True)
class Chain:
    """From the back end to the browser. `holder`: its place there; None: no hop.

    `kinds`: which the verdict may have. `by`: what the hops are compared by.
    """

    back_end: str
    hops: tuple[str, ...]
    holder: int | None
    kinds: tuple[Kind, ...]
    by: str

    @property
    def name(self) -> str:
        return f"{self.back_end}: {', '.join(self.hops)}"


TEXTS, IDS, POSITION, FIRST, BYTES = "texts", "ids", "position", "first", "bytes"
GROUPS = (Kind.BURSTS, Kind.RHYTHM)
OWN = (Kind.STREAMS, Kind.GROUPS)  # of the sender, not held
CHAINS = (
    Chain("steady", ("passes", "passes"), None, (Kind.STREAMS,), TEXTS),
    Chain("steady", ("collects", "passes"), 1, (Kind.AT_THE_END,), TEXTS),
    Chain("steady", ("passes", "collects"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("steady", ("passes", "collects the body"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("steady", ("sends at intervals", "passes"), 1, GROUPS, TEXTS),
    Chain("steady", ("sends at intervals", "collects"), 1, GROUPS, TEXTS),
    Chain("steady", ("is one behind", "passes"), 1, (Kind.DELAYED,), TEXTS),
    Chain("steady", ("passes", "delays each"), 2, (Kind.DELAYED,), TEXTS),
    Chain("steady", ("passes", "is far"), None, (Kind.STREAMS,), TEXTS),
    Chain("steady", ("is far", "collects"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("steady", ("collects", "is far"), 1, (Kind.AT_THE_END,), TEXTS),
    Chain("quiet first", ("holds the head", "passes"), 1, (Kind.HEAD_LATE,), TEXTS),
    Chain("quiet first", ("passes", "holds the head"), 2, (Kind.HEAD_LATE,), TEXTS),
    Chain("quiet first", ("is far", "holds the head"), 2, (Kind.HEAD_LATE,), TEXTS),
    Chain("quiet first", ("holds the head", "collects"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("steady", ("cuts", "passes"), 1, (Kind.CUT,), TEXTS),
    Chain("steady", ("passes", "cuts"), 2, (Kind.CUT,), TEXTS),
    Chain("steady", ("passes", "ends early"), 2, (Kind.CUT,), TEXTS),
    Chain("steady", ("ends early", "is far"), 1, (Kind.CUT,), TEXTS),
    Chain("silence", ("is impatient", "passes"), 1, (Kind.CUT,), TEXTS),
    Chain("silence", ("passes", "is impatient"), 2, (Kind.CUT,), TEXTS),
    Chain("own", ("passes", "passes"), None, (Kind.STREAMS,), IDS),
    Chain("own", ("collects", "passes"), 1, (Kind.AT_THE_END,), IDS),
    Chain("own", ("passes", "ends early"), 2, (Kind.CUT,), IDS),
    Chain("steady", ("renumbers", "passes"), None, (Kind.STREAMS,), POSITION),
    Chain(
        "steady", ("passes", "renumbers and collects"), 2, (Kind.AT_THE_END,), POSITION
    ),
    Chain("steady", ("collects", "renumbers"), 1, (Kind.AT_THE_END,), POSITION),
    Chain("model", ("passes", "passes"), None, (Kind.STREAMS,), POSITION),
    Chain("model", ("passes", "is far"), None, (Kind.STREAMS,), POSITION),
    Chain("model", ("passes", "collects"), 2, (Kind.AT_THE_END,), POSITION),
    Chain("model", ("sends at intervals", "passes"), 1, GROUPS, POSITION),
    Chain("model", ("passes", "cuts"), 2, (Kind.CUT,), POSITION),
    Chain("steady", ("compresses", "passes"), None, (Kind.STREAMS,), TEXTS),
    Chain("steady", ("passes", "compresses"), None, (Kind.STREAMS,), TEXTS),
    Chain("steady", ("passes", "compresses and holds"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("long", ("passes", "keeps its head"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("in bursts", ("passes", "passes"), None, OWN, TEXTS),
    Chain("in bursts", ("passes", "collects"), 2, (Kind.AT_THE_END,), TEXTS),
    Chain("words", ("passes", "passes"), None, (Kind.STREAMS,), BYTES),
    Chain("words", ("passes", "collects"), 2, (Kind.AT_THE_END,), BYTES),
    Chain("steady", ("passes", "fails"), None, (Kind.NO_STREAM,), TEXTS),
)


# -- run ----------------------------------------------------------------------------


Source = Callable[[], contextlib.AbstractAsyncContextManager[tuple[str, Pieces]]]


def answering(hop: Hop, source: Source) -> web.Application:
    """A server that answers each request with what a hop makes of a source."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if hop.status != 200:
            return web.Response(status=hop.status)
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        if request.path == "/words":
            response.content_type = "application/x-words"
        if request.version >= (1, 1):
            response.enable_chunked_encoding()

        async def write(data: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            if data:
                await response.write(data)

        accepted = request.headers.get("Accept-Encoding", "")
        codes = not hop.coding or hop.coding in accepted
        try:
            async with source() as (coding, pieces):
                if coding or (hop.coding and codes):
                    response.headers["Content-Encoding"] = coding or hop.coding
                if not hop.late_head:
                    await write(b"")
                relay = hop.relay if codes else passed
                await relay(pieces, write)
            await write(b"")
        except (ConnectionError, ClientError):
            if request.transport is not None:
                request.transport.abort()
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app


@contextlib.asynccontextmanager
async def own(pieces: Callable[[], Pieces]) -> AsyncIterator[tuple[str, Pieces]]:
    """What a back end says."""
    yield "", pieces()


@contextlib.asynccontextmanager
async def fetched(
    session: ClientSession, url: str
) -> AsyncIterator[tuple[str, Pieces]]:
    """What another hop sends, read by read."""
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        coding = response.headers.get("Content-Encoding", "")
        yield coding, response.content.iter_any()


@contextlib.asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found: int = runner.addresses[0][1]
        yield found
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def long_way(port: int, delay: float) -> AsyncIterator[int]:
    """A relay of bytes that takes half of a delay in each direction."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def one_way(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                loop.call_later(delay / 2, writer.write, data)
        await asyncio.sleep(delay / 2)
        writer.close()

    async def both_ways(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writers.append(back)
            await asyncio.gather(one_way(reader, back), one_way(there, writer))
        finally:
            for each in writers:
                each.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(both_ways(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for the transports to close


@contextlib.asynccontextmanager
async def running(chain: Chain) -> AsyncIterator[list[str]]:
    """A chain; its URLs, that of the browser's side first."""
    SEEDS.seed(chain.name)
    path = re.sub(r"\W", "-", chain.back_end)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(auto_decompress=False))
        pieces = BACK_ENDS[chain.back_end]
        app = answering(PASS, lambda: own(pieces))
        port = await stack.enter_async_context(listening(app))
        urls = [f"http://127.0.0.1:{port}/{path}"]
        for name in chain.hops:
            hop, url = HOPS[name], urls[-1]
            if hop.far:
                port = await stack.enter_async_context(long_way(port, hop.far))
            else:
                app = answering(hop, partial(fetched, session, url))
                port = await stack.enter_async_context(listening(app))
            urls.append(f"http://127.0.0.1:{port}/{path}")
        yield urls[::-1]
