"""Reads an event stream, and resumes where it was when the connection breaks."""

from collections.abc import AsyncIterator

import httpx


async def read_feed(client: httpx.AsyncClient, url: str) -> AsyncIterator[str]:
    """The data of each event, once. Ends when the server says that there is no more."""
    last_id = ""
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            async with client.stream("GET", url, headers=headers) as response:
                if response.status_code == 204:
                    return
                response.raise_for_status()
                event_id, data = "", []
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        event_id = value
                    elif name == "data":
                        data.append(value)
                    elif not line and data:  # what is not complete is not an event
                        last_id = event_id
                        yield "\n".join(data)
                        event_id, data = "", []
        except httpx.TransportError:
            continue  # ask for the rest
