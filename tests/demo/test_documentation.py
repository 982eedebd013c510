"""docs/demo.md has every path of every service, and what they print."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import upstream_demo
from tests.demo.conftest import Serve
from upstream_demo.ai import create_ai_app
from upstream_demo.event_service import create_events_app
from upstream_demo.lessons import create_lessons_app
from upstream_demo.pages import create_pages_app

TEXT = (Path(upstream_demo.__file__).parents[1] / "docs" / "demo.md").read_text("utf-8")
NOWHERE = "http://127.0.0.1:9"
APPS: dict[int, Callable[[], web.Application]] = {
    8002: create_events_app,
    3001: lambda: create_ai_app(environ={}),
    3002: create_lessons_app,
    8003: lambda: create_pages_app(events_url=NOWHERE, proxy_url=NOWHERE),
}
# Answers that are the same each time, asked by GET and without parameters of curl.
REPEATABLE = re.compile(
    r"^\$ curl -sN? '?http://localhost:(\d+)(/[^'\s]*)'?\n(.+?)\n(?:\n|\$|```)",
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize("port", APPS)
def test_every_path_is_documented(port: int) -> None:
    for resource in APPS[port]().router.resources():
        path = re.sub(r"\{(path|name):.*\}", "…", resource.canonical)
        path = path.replace("{path}", "…").replace("{name}", "…")
        assert f"{path}`" in TEXT or f"{path}?" in TEXT, path


@pytest.mark.parametrize(
    ("port", "target", "output"),
    [
        pytest.param(int(port), target, output, id=target)
        for port, target, output in REPEATABLE.findall(TEXT)
        if not target.endswith(("/open", "/status", "/errors"))
    ],
)
async def test_answer_is_as_documented(
    serve_app: Serve,
    session: aiohttp.ClientSession,
    port: int,
    target: str,
    output: str,
) -> None:
    url = f"http://127.0.0.1:{await serve_app(APPS[port]())}{target}"
    async with session.get(url) as response:
        assert (await response.text()).strip() == output
