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


def resumed(url: str, got: list[str]) -> bool:
    """Ask for the rest until there is an end, as its documentation has it."""
    last, headers = "", {}
    with httpx.Client() as client:
        while True:
            try:
                with connect_sse(
                    client, "GET", f"{url}/events", headers=headers
                ) as source:
                    for event in source.iter_sse():
                        last = event.id or last
                        if not event.data:  # it makes an event of `retry` alone, too
                            continue
                        got.append(f" {event.data}" if got else event.data)
                        if len(got) == 1:  # before it has an id, it would begin anew
                            client.post(f"{url}/seen", json={"seen": True})
                return True
            except (httpx.ReadError, httpx.RemoteProtocolError):
                headers = {"Last-Event-ID": last} if last else {}


serve({"events": events, "resumed": resumed})
