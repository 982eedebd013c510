"""Real products as hops: each with its defaults, or with lines added to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from tests.products.node_commands import NODE
from tests.products.product_command import HERE, PEERS
from tests.products.proxy_commands import PROXIES
from tests.products.python_commands import PYTHON
from tests.products.server_commands import SERVERS
from tests.support.ports import free_port

START_SECONDS = 60.0  # webpack on a busy machine


PRODUCTS = {each.name: each for each in (*PROXIES, *SERVERS, *NODE, *PYTHON)}


def prepared(
    name: str, port: int, origin: int, lines: str, folder: Path
) -> tuple[list[str], BinaryIO]:
    """The product's command, its configuration written; where its output goes."""
    folder.mkdir(parents=True, exist_ok=True)
    command = PRODUCTS[name].command(port, origin, lines, folder)
    return command, (folder / "output").open("w+b")


@contextlib.asynccontextmanager
async def started(
    name: str, origin: int, lines: str, folder: Path, fields: tuple[str, ...] = ()
) -> AsyncIterator[int]:
    """The product as a process of ours, with these lines; its port.

    `fields`: of the response, for a product that plays the stream itself.
    """
    port = free_port()
    command, output = prepared(name, port, origin, lines, folder)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        start_new_session=True,
        env={
            **os.environ,
            "PEERS": str(PEERS),
            "PYTHONPATH": str(HERE.parents[1]),
            "FIELDS": "\n".join(fields),
        },
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not is_ready(name, output) or not await answers(port):
                check(name, process, output)
                await asyncio.sleep(0.05)
        yield port
        check(name, process, output)  # if it has ended, another one was asked
    finally:
        output.close()
        # Of two programs, the second one is in the group of the first.
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(5):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def check(name: str, process: asyncio.subprocess.Process, output: BinaryIO) -> None:
    """A program that has ended says why.

    Raises:
        RuntimeError: it has ended.
    """
    if process.returncode is not None:
        output.seek(0)
        raise RuntimeError(f"{name}: {output.read().decode()}")


def is_ready(name: str, output: BinaryIO) -> bool:
    """Has it said that it listens, if it says so?"""
    # The place in the file is the program's, too.
    said = os.pread(output.fileno(), 1 << 16, 0)
    return PRODUCTS[name].ready.encode() in said


async def answers(port: int) -> bool:
    """Does something listen there?"""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
