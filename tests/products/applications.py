"""Streams of the test origin, played by applications of Python frameworks.

What stands before them is the server and the framework alone; each event is
yielded when it is due and says when that was.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from urllib.parse import parse_qsl

from proxy.tools.doctor.test_streams import PROGRAMS, TYPES, Program, chosen

ASKED: ContextVar[Program] = ContextVar("ASKED")


def ask(query: str) -> Program:
    """Which stream a query string asks for; remembered for this request."""
    program = chosen("/", dict(parse_qsl(query))) or PROGRAMS["steady"]
    ASKED.set(program)
    return program


def media_type() -> str:
    return TYPES[ASKED.get().type]


def more_fields() -> list[tuple[str, str]]:
    """What a response has besides its type."""
    lines = os.environ.get("FIELDS", "").splitlines()
    return [(name, value) for name, value in (each.split(": ", 1) for each in lines)]


def blocking() -> Iterator[bytes]:
    """The stream from a generator that sleeps."""
    return play(ASKED.get())


def play(program: Program) -> Iterator[bytes]:
    began = due = time.monotonic()
    for number in range(1, program.count + 1):
        due += program.pause_before(number)
        time.sleep(max(due - time.monotonic(), 0))
        yield program.event(number, time.monotonic() - began)
    yield program.end()


def generate() -> AsyncIterator[bytes]:
    """The stream from a generator that awaits."""
    return play_awaiting(ASKED.get())


async def play_awaiting(program: Program) -> AsyncIterator[bytes]:
    began = due = time.monotonic()
    for number in range(1, program.count + 1):
        due += program.pause_before(number)
        await asyncio.sleep(max(due - time.monotonic(), 0))
        yield program.event(number, time.monotonic() - began)
    yield program.end()
