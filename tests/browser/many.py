"""An upstream with many streams, a WebSocket and uploads, and its page.

What the page gets it writes into an element with the name of the stream.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiohttp import WSMsgType, web

from tests.browser.controlled import ANY_ORIGIN, PageUpstream

PAGE = """<!doctype html><title>Streams</title><ol></ol><script>
const place = (name) => {
  const item = document.createElement("li");
  item.dataset.testid = name;
  document.querySelector("ol").append(item);
  return item;
};
const listen = (name) => {
  const item = place(name);
  const source = new EventSource(`/events/${name}`);
  source.onmessage = ({ data }) => { item.textContent = data; };
};
const stops = {};
const read = async (name) => {
  const item = place(name);
  const stop = stops[name] = new AbortController();
  try {
    const { body } = await fetch(`/events/${name}`, { signal: stop.signal });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      item.textContent += decoder.decode(value, { stream: true });
    }
    item.dataset.end = "complete";
  } catch (error) {
    item.dataset.end = error.name;
  }
};
const talk = (name) => new Promise((resolve, reject) => {
  const item = place(name);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/socket`);
  socket.onmessage = ({ data }) => { item.textContent = data; };
  socket.onclose = ({ code }) => { item.dataset.end = String(code); };
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error("no WebSocket"));
  stops[name] = socket;
});
const upload = (name, size) => {
  const item = place(name);
  const request = stops[name] = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded }) => { item.dataset.sent = loaded; };
  request.onload = () => { item.textContent = request.responseText; };
  request.onabort = () => { item.dataset.end = "abort"; };
  request.onerror = () => { item.dataset.end = "error"; };
  request.open("POST", `/upload/${name}`);
  request.send(new Blob([new Uint8Array(size)]));
};
const ask = async (url) => (await fetch(url, { cache: "no-store" })).text();
</script>"""


class Upload:
    """A request body that is not read until the test says so."""

    def __init__(self, guard: float) -> None:
        self.guard = guard
        self.reads = asyncio.Event()
        self.left = asyncio.Event()

    async def client_left(self) -> None:
        async with asyncio.timeout(self.guard):
            await self.left.wait()


class ManyStreams(PageUpstream):
    """Serves the page, and a `Stream` for each request to `/events/…`."""

    def __init__(self, guard: float) -> None:
        super().__init__(guard)
        self.told = 0
        self._uploads: defaultdict[str, asyncio.Queue[Upload]] = defaultdict(
            asyncio.Queue
        )

    def asked(self, path: str) -> bool:
        """Is there a request to `path` that the test has not taken?"""
        return not self._requested[path].empty()

    async def uploading(self, name: str) -> Upload:
        """The next upload of that name, waiting for it."""
        async with asyncio.timeout(self.guard):
            return await self._uploads[name].get()

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def tell(self, request: web.Request) -> web.Response:
        self.told += 1
        return web.Response(text=str(self.told), headers=ANY_ORIGIN)

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
        return ws

    async def upload(self, request: web.Request) -> web.Response:
        upload = Upload(self.guard)
        self._uploads[request.match_info["name"]].put_nowait(upload)
        size = 0
        try:
            await upload.reads.wait()
            async for piece in request.content.iter_any():
                size += len(piece)
        except (asyncio.CancelledError, ConnectionError):
            upload.left.set()
            raise
        return web.Response(text=str(size))

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self.page)
        app.router.add_get("/tell", self.tell)
        app.router.add_get("/socket", self.socket)
        app.router.add_get("/events/{name}", self.events)
        app.router.add_post("/upload/{name}", self.upload)
        return app
