"""The doctor over real sockets, on free streams of every rhythm: none is held.

`make free` measures a hundred of them, by seeds that are printed where one fails. They
last some seconds each, and whether one is held is a matter of time: not in the suite.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.http1.chunked import LAST_CHUNK, chunk
from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.result import Result
from tests.support.certificates import Authority
from tests.support.free_streams import RHYTHMS, FreeStream, free_stream

VARIABLE = "UNBUFFERED_FREE"
STREAMS = int(os.environ.get(VARIABLE, "0"))
AT_ONCE = 8

pytestmark = [
    pytest.mark.any_loop,
    pytest.mark.skipif(not STREAMS, reason=f"{VARIABLE} says how many; see Makefile"),
]

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def played(stream: FreeStream) -> Serve:
    """Writes each piece when it is due."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            began = asyncio.get_running_loop().time()
            writer.write(head(stream))
            for at, data in stream.writes:
                await until(began + at)
                writer.write(data if stream.framing == "close" else chunk(data))
                await writer.drain()
            await until(began + stream.end)
            if stream.framing != "close":
                writer.write(LAST_CHUNK)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the doctor has seen enough
        finally:
            writer.close()

    return serve


def head(stream: FreeStream) -> bytes:
    framing = (
        "Connection: close"
        if stream.framing == "close"
        else "Transfer-Encoding: chunked"
    )
    lines = ["HTTP/1.1 200 OK", ": ".join(stream.type), framing, "", ""]
    return "\r\n".join(lines).encode()


async def until(due: float) -> None:
    """A moment that has passed costs no turn of the loop, as in a busy sender."""
    rest = due - asyncio.get_running_loop().time()
    if rest > 0:
        await asyncio.sleep(rest)


async def examined(stream: FreeStream, tls: ssl.SSLContext) -> Result:
    server = await asyncio.start_server(
        played(stream), "127.0.0.1", 0, ssl=tls if stream.tls else None
    )
    port = server.sockets[0].getsockname()[1]
    url = f"{'https' if stream.tls else 'http'}://127.0.0.1:{port}/events"
    plan = ProbePlan(Ask(url, insecure=True), max_time=stream.end + 1.5)
    async with server:
        return await PlanRunner(lambda text: None, asyncio.Event()).one(plan)


async def test_no_free_stream_is_called_held(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert authority.root
    few = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> tuple[int, str, str, Result]:
        stream = free_stream(seed)
        async with few:
            result = await examined(stream, tls)
        return seed, stream.rhythm, stream.framing, result

    results = await asyncio.gather(*map(one, range(STREAMS)))
    held = [
        (seed, rhythm, result.verdict.line)
        for seed, rhythm, _, result in results
        if result.verdict.held
    ]
    kinds = Counter(
        (rhythm, result.verdict.kind.value) for _, rhythm, _, result in results
    )
    answers = [result.cases[0].recording for *_, result in results]
    assert all(each.answered for each in answers)
    assert {rhythm for _, rhythm, _, _ in results} == {
        free_stream(seed).rhythm for seed in range(min(STREAMS, len(RHYTHMS)))
    }
    assert not held, (held, kinds)
