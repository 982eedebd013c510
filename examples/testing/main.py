"""Passes a feed on to the page, whatever happens to the connection to the feed."""

import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from feed import read_feed

app = FastAPI()


async def events() -> AsyncIterator[str]:
    async with httpx.AsyncClient(timeout=None) as client:
        async for data in read_feed(client, os.environ["FEED"]):
            yield f"data: {data}\n\n"


@app.get("/api/events")
async def stream() -> StreamingResponse:
    return StreamingResponse(events(), media_type="text/event-stream")
