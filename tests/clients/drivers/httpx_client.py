"""httpx-sse: a plain event stream."""

from __future__ import annotations

import httpx
from httpx_sse import connect_sse
from line import serve


class Event(Exception):
    """An event of type `error`."""


def events(url: str, got: list[str]) -> bool:
    """Complete: it ended, and nothing more can be known."""
    with (
        httpx.Client() as client,
        connect_sse(client, "GET", f"{url}/events") as source,
    ):
        for event in source.iter_sse():
            if event.event == "error":
                raise Event(event.data)
            got.append(event.data)
    return True


serve({"events": events})
