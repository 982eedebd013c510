"""The examples of docs/embedding.md run as they are printed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp.pytest_plugin import AiohttpClient

from tests.hosts.test_asgi_host import Call, scope_of
from tests.support.host_rows import SHORT
from tests.support.raw import GUARD, Upstream

PAGE = Path(__file__).parent.parent.parent / "docs" / "embedding.md"
EXAMPLE = re.compile(r'```python title="(\w+)"\n(.*?)```', re.DOTALL)
TARGET = "http://localhost:8002"


def example(name: str, upstream: Upstream) -> dict[str, Any]:
    """What is defined by an example, whose upstream is that of a test."""
    source = dict(EXAMPLE.findall(PAGE.read_text("utf-8")))[name]
    assert TARGET in source
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(source.replace(TARGET, upstream.url), name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("name", ["aiohttp", "fastapi", "starlette", "django"])
def test_an_example_has_ten_lines(name: str) -> None:
    source = dict(EXAMPLE.findall(PAGE.read_text("utf-8")))[name]
    code = [line for line in source.splitlines() if line and "import" not in line]
    assert len(code) <= 10


async def test_the_aiohttp_example_forwards(
    upstream: Upstream, aiohttp_client: AiohttpClient
) -> None:
    client = await aiohttp_client(example("aiohttp", upstream)["app"])
    asking = asyncio.ensure_future(client.get("/sse/events"))
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /events HTTP/1.1"
    await server.send(SHORT)
    response = await asyncio.wait_for(asking, GUARD)
    assert await response.text() == "hi"


@pytest.mark.parametrize(
    ("name", "package"), [("fastapi", "fastapi"), ("starlette", "starlette")]
)
async def test_an_example_forwards_within_its_lifespan(
    upstream: Upstream, name: str, package: str
) -> None:
    pytest.importorskip(package, reason=f"{package} not installed (group hosts)")
    found = example(name, upstream)
    lifespan = Call(found["app"], scope_of(kind="lifespan"))
    lifespan.tell("lifespan.startup")
    assert (await lifespan.heard())["type"] == "lifespan.startup.complete"
    assert len(list(found["proxy"].servers)) == 1
    await forwards(found["app"], upstream)
    lifespan.tell("lifespan.shutdown")
    assert (await lifespan.heard())["type"] == "lifespan.shutdown.complete"
    (server,) = found["proxy"].servers
    assert server.draining


async def test_the_django_example_forwards_and_leaves_the_rest_to_django(
    upstream: Upstream,
) -> None:
    conf = pytest.importorskip("django.conf", reason="no django (group hosts)")
    if not conf.settings.configured:
        conf.settings.configure(ROOT_URLCONF=(), ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    found = example("django", upstream)
    await forwards(found["application"], upstream)
    scope = scope_of("/other")
    call = Call(found["application"], scope)
    call.tell("http.request", body=b"", more_body=False)
    assert (await call.heard())["status"] == 404
    call.tell("http.disconnect")
    await call.over()
    await found["proxy"].stop()


async def forwards(app: Any, upstream: Upstream) -> None:
    """Does a path below /sse reach the upstream, and its answer the client?"""
    call = Call(app, scope_of("/sse/events"))
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /events HTTP/1.1"
    await server.send(SHORT)
    assert (await call.heard())["status"] == 200
    assert (await call.heard())["body"] == b"hi"
    await call.over()
