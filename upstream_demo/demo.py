"""`unbuffered demo`: the upstreams, the proxy before them, and the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.config.load import load
from proxy.process import console, process
from proxy.server.server import Server
from upstream_demo.services import Ports, start_services

CONFIG = Path(__file__).with_name("demo.toml")
PROXY_PORT = 8080


async def demo(
    overrides: Mapping[str, object], open_page: Callable[[str], object] | None
) -> int:
    """Run all of it in one process until a signal says stop.

    A port of an upstream that is taken is replaced by a free one; the proxy's
    own is not, since its address is what people were told.
    """
    wanted = Ports(proxy=int(str(overrides.get("server.port", PROXY_PORT))))
    async with start_services(wanted, any_port=True) as ports:
        environ = dict(os.environ) | {
            "UNBUFFERED_DEMO_EVENTS_PORT": str(ports.events),
            "UNBUFFERED_DEMO_AI_PORT": str(ports.ai),
            "UNBUFFERED_DEMO_LESSONS_PORT": str(ports.lessons),
            "UNBUFFERED_DEMO_PAGES_PORT": str(ports.pages),
        }
        config = load(CONFIG, environ, overrides)

        def ready(server: Server) -> None:
            address = f"http://localhost:{server.port}/"
            console.say(f"\nOpen {address}\n")
            if open_page is not None:
                open_page(address)

        return await process.serve(config, ready)
