"""The page server: the demo page, its settings, and the hop that holds."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from aiohttp import web

from proxy import __version__
from proxy.web.files import TYPES, find_file
from upstream_demo.buffering_hop import HoldingHop, open_session
from upstream_demo.document import POLICY, can_render, render_page
from upstream_demo.error_response import answer_refusals
from upstream_demo.small_file import small_file
from upstream_demo.streams import TALLY, create_tally, local_address, report_status

PAGE = Path(__file__).resolve().parent / "page"
DOCS = PAGE.parents[1] / "docs"  # of a clone; an installation has none
DOCUMENT = re.compile(
    r"(?:[A-Za-z]+(?:-[A-Za-z]+)*/)?[a-z0-9]+(?:[._-][a-z0-9]+)*\.(md|png|svg|json)"
)


async def show_file(request: web.Request) -> web.StreamResponse:
    """`GET /` and `GET /{name}`: one of the files of the page, and no other."""
    found = find_file(PAGE, request.match_info.get("name") or "index.html")
    if found is None:
        raise web.HTTPNotFound
    content_type, path = found
    return await small_file(
        path, {"Content-Type": content_type, "Cache-Control": "no-cache"}
    )


async def show_document(request: web.Request) -> web.StreamResponse:
    """`GET /docs/{name}`: a page of the documentation, or a file that it leads to.

    Without what renders it, a page is shown as it is written.
    """
    name = request.match_info["name"]
    path = DOCS / name
    if DOCUMENT.fullmatch(name) is None or not path.is_file():
        raise web.HTTPNotFound
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    if path.suffix != ".md" or not can_render():
        content_type = TYPES.get(path.suffix, "text/plain; charset=utf-8")
        return await small_file(path, {**headers, "Content-Type": content_type})
    # Beside the loop: streams of the demo run on it.
    page = await asyncio.to_thread(lambda: render_page(name, path.read_text("utf-8")))
    return web.Response(
        text=page, content_type="text/html", charset="utf-8", headers=headers
    )


async def show_settings(request: web.Request) -> web.Response:
    """`GET /settings.json`: what the page cannot know by itself."""
    _, port = local_address(request)
    return web.json_response(
        {"holding_port": port, "version": __version__, "docs": DOCS.is_dir()},
        headers={"Cache-Control": "no-store"},
    )


def create_pages_app(*, events_url: str, proxy_url: str) -> web.Application:
    """The service on port 8003. Both URLs are bases without a slash at the end."""
    app = web.Application(middlewares=[answer_refusals])
    app[TALLY] = create_tally(app)
    app.cleanup_ctx.append(open_session)
    add_get = app.router.add_get
    add_get("/settings.json", show_settings)
    add_get("/status", report_status)
    add_get("/held/{path:.*}", HoldingHop("/held", events_url).handle, allow_head=False)
    add_get(
        "/held-before/{path:.*}",
        HoldingHop("/held-before", f"{proxy_url}/sse").handle,
        allow_head=False,
    )
    add_get("/docs/{name:.+}", show_document)
    add_get("/", show_file)
    add_get("/{name:.+}", show_file)
    return app
