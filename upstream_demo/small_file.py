"""A file that is sent as a whole."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web


async def small_file(
    path: Path, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Its content, with the type that its name has where `headers` has none.

    web.FileResponse leaves a file open if the client leaves while it is opened.
    """
    body = await asyncio.to_thread(path.read_bytes)
    fields = dict(headers or {})
    if "Content-Type" not in fields:
        fields["Content-Type"] = mimetypes.guess_type(path)[0] or "text/plain"
    return web.Response(body=body, headers=fields)
