"""All services of the demo, started together and stopped together."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import astuple, dataclass, replace

from aiohttp import web

from upstream_demo.ai import create_ai_app
from upstream_demo.event_service import create_events_app
from upstream_demo.lessons import create_lessons_app
from upstream_demo.listeners import listen, port_of, serve
from upstream_demo.pages import create_pages_app
from upstream_demo.streams import Pause

# Names, as on the command line, and what messages call them.
SERVICES = {
    "events": "event service",
    "ai": "AI service",
    "lessons": "response lessons",
    "pages": "page server",
}


@dataclass(frozen=True)
class Ports:
    """Where each service listens; `proxy` is where the page is read through."""

    events: int = 8002
    ai: int = 3001
    lessons: int = 3002
    pages: int = 8003
    proxy: int = 8080


@asynccontextmanager
async def start_services(
    ports: Ports | None = None,
    *,
    host: str = "127.0.0.1",
    any_port: bool = False,
    names: tuple[str, ...] = tuple(SERVICES),
    pause: Pause = asyncio.sleep,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Ports]:
    """Start the services and yield their real ports; leaving stops them.

    With `any_port` a port that is taken is replaced by the next free one that no
    other service wants. `ports.proxy` is passed on as it is: the proxy is the
    caller's.

    Raises:
        OSError: a port is taken; the message names it and its service.
        ValueError: a variable of the environment has a bad value.
    """
    wanted = ports or Ports()
    listeners: dict[str, list[socket.socket]] = {}
    async with AsyncExitStack() as stack:
        for name in names:
            listeners[name] = listen(
                SERVICES[name],
                host,
                getattr(wanted, name),
                any_port=any_port,
                avoid=astuple(wanted),
            )
            for each in listeners[name]:
                stack.callback(each.close)
        real = replace(
            wanted, **{name: port_of(sockets) for name, sockets in listeners.items()}
        )
        for name, sockets in listeners.items():
            app = create_app(name, real, host, pause, environ)
            await stack.enter_async_context(serve(app, sockets))
        yield real


def create_app(
    name: str, ports: Ports, host: str, pause: Pause, environ: Mapping[str, str]
) -> web.Application:
    match name:
        case "events":
            return create_events_app(pause=pause)
        case "ai":
            return create_ai_app(pause=pause, environ=environ)
        case "lessons":
            return create_lessons_app()
        case _:
            return create_pages_app(
                events_url=f"http://{reachable(host)}:{ports.events}",
                proxy_url=f"http://127.0.0.1:{ports.proxy}",
            )


def reachable(host: str) -> str:
    """How a service on `host` is addressed from this machine, inside a URL."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{own}]" if ":" in own else own
