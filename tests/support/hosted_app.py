"""The application that the hosts of `hosts` run: routes before one upstream."""

from __future__ import annotations

import os
import sys

from proxy.library.asgi_host import asgi_app

UPSTREAM = os.environ.get("HOSTED_UPSTREAM", "http://127.0.0.1:9")
ROUTES = {
    "/sse": {"target": UPSTREAM, "ws": True},
    "/kept": {"target": UPSTREAM, "resume": True},
}
TABLES = {"server": {"drain_seconds": 2.0}}

app = asgi_app(ROUTES, **TABLES)


def run_aiohttp(port: int) -> None:
    """Serve the same by aiohttp."""
    from aiohttp import web

    from proxy.library.aiohttp_host import aiohttp_handler

    handler = aiohttp_handler(ROUTES, **TABLES)
    application = web.Application()
    handler.attach(application)
    application.router.add_route("*", "/{tail:.*}", handler)
    web.run_app(application, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    run_aiohttp(int(sys.argv[1]))
