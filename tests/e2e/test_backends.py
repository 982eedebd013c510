"""The back ends of the examples, each behind the configuration beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.e2e.backend import GUARD_SECONDS
from tests.e2e.needs import EXAMPLES, modules, node, python
from tests.e2e.programs import Program
from tests.e2e.sites import unbuffered
from tests.support.ports import ClosedPort

MANY = "1000000"  # more than a tool counts while a test runs


def express() -> list[str | Path]:
    modules("express")
    return [node(), "--run", "start"]


@dataclass(frozen=True)
class Service:
    """How a back end is started, and what it says when it serves."""

    command: Callable[[], list[str | Path]]
    ready: str = "Uvicorn running on"


def uvicorn(app: str) -> Service:
    return Service(lambda: [python(), "-m", "uvicorn", app])


SERVICES = {
    "express": Service(express, "/events"),
    "fastapi": uvicorn("main:app"),
    "django": uvicorn("main:application"),
    "mcp": Service(lambda: [python(), "server.py"]),
}


@pytest.mark.parametrize("name", ["express", "fastapi", "django"])
async def test_events_of_a_stream_without_end_arrive(name: str) -> None:
    folder, service = EXAMPLES / name, SERVICES[name]
    with ClosedPort() as back, ClosedPort() as front:
        # uvicorn reads its options from the environment too.
        port = {"PORT": str(back.port), "UVICORN_PORT": str(back.port)}
        with (
            Program(service.command(), folder, port) as program,
            unbuffered(folder, front.port, {"TARGET": back.url}),
        ):
            program.wait_for(service.ready)
            async with (
                ClientSession(timeout=ClientTimeout(GUARD_SECONDS)) as session,
                session.get(f"{front.url}/api/events") as response,
            ):
                assert response.content_type == "text/event-stream"
                assert "no-transform" in response.headers["Cache-Control"]
                for number in (1, 2):
                    event = await response.content.readuntil(b"\n\n")
                    assert event == f"data: message {number}\n\n".encode()


def test_progress_of_an_mcp_tool_arrives_long_before_its_end() -> None:
    folder, service = EXAMPLES / "mcp", SERVICES["mcp"]
    with ClosedPort() as back, ClosedPort() as front:
        client: list[str | Path] = [
            python(),
            "client.py",
            MANY,
            f"{front.url}/tools/mcp",
        ]
        with (
            Program(service.command(), folder, {"PORT": str(back.port)}) as program,
            unbuffered(folder, front.port, {"TARGET": back.url}),
        ):
            program.wait_for(service.ready)
            with Program(client, folder, {}) as asking:
                asking.wait_for(f"3 of {MANY}")
