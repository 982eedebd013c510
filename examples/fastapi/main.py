"""An event a second; when the client leaves, the generator is closed."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


async def messages() -> AsyncIterator[str]:
    for number in count(1):
        yield f"data: message {number}\n\n"
        await asyncio.sleep(1)


@app.get("/events")
async def events() -> StreamingResponse:
    return StreamingResponse(messages(), media_type="text/event-stream")
