"""A hop that holds: what a dev server with `compress: true` does to a stream.

It fetches from a service and compresses the answer into whole blocks, never
flushed before the end. It behaves when the client takes no gzip or when the
response says `no-transform`, which is how Unbuffered gets streams through it.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from upstream_demo.compression import GZIP_WINDOW
from upstream_demo.error_response import Refusal
from upstream_demo.streams import TALLY, break_connection, send_head

# For one connection only (RFC 9110 §7.6.1), or about to be wrong.
LEFT_OUT = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "upgrade")
)
# The page reads this hop straight from its own port.
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}

SESSION = web.AppKey("session", aiohttp.ClientSession)


@dataclass(frozen=True)
class HoldingHop:
    """The hop that puts `target`, a base URL, in place of the path `prefix`."""

    prefix: str
    target: str

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Fetch from the target and pass it on, held or not."""
        with request.app[TALLY].follow(request, "pieces") as progress:
            async with await self._fetch(request) as upstream_response:
                response = await start_response(request, upstream_response)
                try:
                    async for piece in body_pieces(request, upstream_response):
                        await response.write(piece)
                        progress.sent += 1
                    await response.write_eof()
                except aiohttp.ClientPayloadError:
                    break_connection(request)
        return response

    async def _fetch(self, request: web.Request) -> aiohttp.ClientResponse:
        url = self.target + request.raw_path.removeprefix(self.prefix)
        try:
            return await request.app[SESSION].get(
                URL(url, encoded=True),
                headers=request_fields(request),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise Refusal(
                502,
                f"the hop cannot fetch {url}: {error}",
                type="upstream_error",
                headers=CORS,
            ) from error


def request_fields(request: web.Request) -> dict[str, str]:
    names = ("Accept", "Accept-Encoding", "Last-Event-ID")
    fields = {name: request.headers[name] for name in names if name in request.headers}
    # Otherwise the HTTP client would name the codings that it knows itself.
    fields.setdefault("Accept-Encoding", "identity")
    return fields


async def start_response(
    request: web.Request, upstream_response: aiohttp.ClientResponse
) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream_response.status)
    for name, value in upstream_response.headers.items():
        if name.lower() not in LEFT_OUT:
            response.headers.add(name, value)
    response.headers.update(CORS)
    if compresses(request, upstream_response):
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    await send_head(request, response)
    return response


async def body_pieces(
    request: web.Request, upstream_response: aiohttp.ClientResponse
) -> AsyncIterator[bytes]:
    """The body as it comes; compressed, it comes when a block is full."""
    pieces = upstream_response.content.iter_any()
    if not compresses(request, upstream_response):
        async for piece in pieces:
            yield piece
        return
    compressor = zlib.compressobj(wbits=GZIP_WINDOW)
    async for piece in pieces:
        if block := compressor.compress(piece):
            yield block
    yield compressor.flush()


def compresses(request: web.Request, upstream_response: aiohttp.ClientResponse) -> bool:
    return (
        accepts_gzip(request.headers.get("Accept-Encoding", ""))
        and not says_no_transform(upstream_response)
        and "Content-Encoding" not in upstream_response.headers
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """RFC 9110 §12.5.3, as far as gzip goes."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False


def says_no_transform(upstream_response: aiohttp.ClientResponse) -> bool:
    fields = ",".join(upstream_response.headers.getall("Cache-Control", []))
    return "no-transform" in [each.strip().lower() for each in fields.split(",")]


async def open_session(app: web.Application) -> AsyncIterator[None]:
    """The hop's connections, without any limit of the client's own."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept"),
    ) as session:
        app[SESSION] = session
        yield
