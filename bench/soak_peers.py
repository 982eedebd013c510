"""Both ends of the soak: an upstream that does what a path tells it, and a client.

A stream's bytes follow from its seed, so each end knows what the other sends
without asking, and a byte that is lost, doubled or from another stream shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass

GUARD = 30.0  # seconds without any byte: lost
HEARD_SECONDS = 5.0  # for the upstream to hear that its client left
RESET = struct.pack("ii", 1, 0)
FRAMINGS = {
    "chunked": b"Transfer-Encoding: chunked\r\n",
    "length": b"Content-Length: %d\r\n",
    "close": b"",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen to one stream. `dies` and `leaves`: at which piece."""

    seed: int
    framing: str = "chunked"
    pieces: int = 10
    death: str = "none"  # of the upstream: none, fin, reset
    dies: int = 0
    stall: float = 0.0  # seconds, once
    departure: str = "none"  # of the client
    leaves: int = 0
    slow: bool = False

    @classmethod
    def of(cls, seed: int) -> Plan:
        """The plan of that number; half of the streams end as they should."""
        chance = random.Random(seed)
        pieces = chance.randrange(1, 20)
        fate = chance.random()
        return cls(
            seed,
            chance.choice((*FRAMINGS, "chunked")),
            pieces,
            death=chance.choice(("fin", "reset")) if fate < 0.25 else "none",
            dies=chance.randrange(pieces),
            stall=chance.uniform(1, 4) if chance.random() < 0.05 else 0.0,
            departure=chance.choice(("fin", "reset")) if fate > 0.75 else "none",
            leaves=chance.randrange(pieces),
            slow=chance.random() < 0.1,
        )

    def piece(self, number: int) -> bytes:
        chance = random.Random(self.seed * 1000 + number)
        return chance.randbytes(chance.choice((1, 30, 300, 3000, 30000)))

    def content(self, pieces: int) -> bytes:
        return b"".join(self.piece(number) for number in range(pieces))


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Upstream:
    """Streams what the number in the path says; knows what became of it."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.ended: dict[int, asyncio.Event] = {}
        self.open = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection from the proxy: request after request."""
        self.open += 1
        first = b""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = first + await reader.readuntil(b"\r\n\r\n")
                plan = Plan.of(int(head.split(b" ")[1][1:]))
                eof = asyncio.ensure_future(reader.read(1))
                try:
                    kept = await self.stream(plan, writer, eof)
                finally:
                    heard = self.ended.get(plan.seed)
                    if heard is not None:  # its client may have gone by itself
                        heard.set()
                    eof.cancel()
                    await asyncio.wait({eof})
                # The first byte of the next request may be there already.
                first = b"" if eof.cancelled() else eof.result()
                if not kept:
                    break
        self.open -= 1
        writer.close()

    async def stream(
        self, plan: Plan, writer: asyncio.StreamWriter, eof: asyncio.Future[bytes]
    ) -> bool:
        """Send one response; may the connection serve another?"""
        framing = FRAMINGS[plan.framing]
        if plan.framing == "length":
            framing %= len(plan.content(plan.pieces))
        if plan.death == "none" or plan.dies:
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        for number in range(plan.pieces):
            if plan.death != "none" and number == plan.dies:
                await writer.drain()
                if plan.death == "reset":
                    reset(writer)
                return False
            piece = plan.piece(number)
            if plan.framing == "chunked":
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            writer.write(piece)
            await writer.drain()
            pause = self.pace * 2 * random.random()
            await asyncio.wait({eof}, timeout=pause + plan.stall * (number == 1))
            if eof.done() and not eof.result():
                return False  # the client left
        if plan.framing == "chunked":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return plan.framing != "close"


class Client:
    """Opens streams through the proxy, one after the other, and judges each."""

    def __init__(self, port: int, upstream: Upstream, counts: Counter[str]) -> None:
        self.port = port
        self.upstream = upstream
        self.counts = counts
        self.faults: list[str] = []

    def fault(self, kind: str, plan: Plan, detail: str) -> None:
        self.counts[kind] += 1
        if len(self.faults) < 20:
            self.faults.append(f"{kind}: {plan}: {detail}")

    async def run(self, plan: Plan) -> None:
        """One stream, from its request to its end."""
        self.upstream.ended[plan.seed] = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % plan.seed)
            async with asyncio.timeout(GUARD + plan.stall):
                await self.read(plan, reader, writer)
        except TimeoutError:
            self.fault("hung", plan, "no byte and no end")
        except (ConnectionError, OSError) as fault:
            if plan.death == "none" and plan.departure == "none":
                self.fault("broken", plan, repr(fault))
        finally:
            writer.close()
        self.counts["streams"] += 1
        del self.upstream.ended[plan.seed]

    async def read(
        self, plan: Plan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        leaves = plan.leaves if plan.departure != "none" else plan.pieces + 1
        enough = len(plan.content(min(leaves, plan.pieces)))
        received, clean = bytearray(), False
        async for piece in body(await reader.readuntil(b"\r\n\r\n"), reader):
            if piece is None:
                clean = True
                break
            received += piece
            if leaves <= plan.pieces and len(received) >= enough:
                await self.leave(plan, writer)
                break
            if plan.slow:
                await asyncio.sleep(0.05)
        else:
            clean = False
        self.counts["bytes"] += len(received)
        self.judge(plan, bytes(received), clean)

    async def leave(self, plan: Plan, writer: asyncio.StreamWriter) -> None:
        """Go away; the upstream has to hear of it."""
        self.counts["departures"] += 1
        if plan.departure == "reset":
            reset(writer)
        else:
            writer.close()
        try:
            async with asyncio.timeout(HEARD_SECONDS + plan.stall):
                await self.upstream.ended[plan.seed].wait()
        except TimeoutError:
            self.fault("unheard", plan, "the upstream was not told")

    def judge(self, plan: Plan, received: bytes, clean: bool) -> None:
        """Every byte, and how it ended."""
        dies = plan.death != "none" and plan.departure == "none"
        sent = plan.content(plan.dies if dies else plan.pieces)
        if dies:
            self.counts["deaths"] += 1
        if not sent.startswith(received):
            if not (dies and not plan.dies):  # then it is the proxy's own 502
                self.fault("wrong_bytes", plan, f"{len(received)} bytes")
        elif plan.departure != "none":
            return
        elif dies:
            # A body that ends with its connection cannot tell FIN from its end.
            as_if_whole = plan.framing == "close" and plan.death == "fin"
            if clean and plan.dies and not as_if_whole:
                self.fault("false_clean_end", plan, "")
            if plan.death == "fin" and received != sent:
                self.fault("lost_bytes", plan, f"{len(received)} of {len(sent)}")
        elif not clean or received != sent:
            self.fault("lost_bytes", plan, f"{len(received)} of {len(sent)}")


async def body(head: bytes, reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]  # None at a clean end
    """The pieces of a body, then None if it ended as it should."""
    if b"\r\nTransfer-Encoding: chunked\r\n" in head:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            yield None
        return
    _, _, value = head.partition(b"\r\nContent-Length: ")
    left = int(value.partition(b"\r\n")[0])
    with contextlib.suppress(ConnectionError):
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                return
            left -= len(piece)
            yield piece
        yield None
