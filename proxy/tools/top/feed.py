"""The feed of the inspector, read by a program without a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from proxy.line_writer import one_line
from proxy.tools.running_proxy import NEEDS_TOKEN, RunningProxy, unix_connection

PATH = "/_unbuffered/feed"
# keep-alive: whoever asks for himself says so (`proxy.inspector.access_rule`).
FIELDS = {"Accept": "text/event-stream", "Connection": "keep-alive"}
PATIENCE_SECONDS = 60.0  # a feed that is well says something every 15 s


class FeedRefused(Exception):
    """Why there is no feed, and what to do; for the person who asked."""


def events(
    proxy: RunningProxy, patience: float = PATIENCE_SECONDS
) -> Generator[tuple[str, Any], None, None]:
    """The events of a feed, each as it comes: its name, its data.

    Raises:
        Refused: nothing answers, or not with a feed.
    """
    url = proxy.url
    connection = connect(url, patience)
    with contextlib.closing(connection):
        try:
            connection.request("GET", PATH, headers=FIELDS | proxy.fields)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as fault:
            reason = getattr(fault, "strerror", None) or fault
            raise FeedRefused(
                f"nothing answers at {url}: {reason}; is the proxy running there? "
                "(unbuffered top http://HOST:PORT)"
            ) from fault
        except ValueError as fault:  # what no field can hold; it is not shown
            raise FeedRefused(
                "the token has characters that no token can have"
            ) from fault
        kind = response.headers.get_content_type()
        if response.status in (401, 429):
            raise FeedRefused(needs_token(proxy, response))
        if response.status != 200 or kind != "text/event-stream":
            raise FeedRefused(
                f"{url} does not show its streams ({response.status}): it is not "
                'Unbuffered, or its [inspector] enabled is false, or "loopback" and '
                "this request comes from another machine, or its inspector is at the "
                "admin listener ([server] admin): give that address"
            )
        try:
            yield from parsed(response)
        except (OSError, http.client.HTTPException, ValueError):
            return


def needs_token(proxy: RunningProxy, response: http.client.HTTPResponse) -> str:
    """Why a proxy that asks for a token has not taken what it got."""
    if response.status == 429:
        seconds = one_line(response.headers.get("Retry-After", "a few"))
        return f"{proxy.url} got too many wrong tokens: try again in {seconds} s"
    if proxy.token:
        return f"{proxy.url} does not accept this token"
    return f"{proxy.url} needs a token: {NEEDS_TOKEN}, or give the link that it printed"


def parsed(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    while raw := response.readline():
        field, _, value = raw.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def connect(url: str, patience: float) -> http.client.HTTPConnection:
    """A connection to where a URL points; not opened yet.

    Raises:
        Refused: it is no URL of a proxy.
    """
    if (by_path := unix_connection(url, patience)) is not None:
        return by_path
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise FeedRefused(f"{url} is not a valid URL: {fault}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise FeedRefused(f"{url} is not a valid URL: write http://127.0.0.1:8080")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            host, port, timeout=patience, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, port, timeout=patience)


class Known:
    """What the feed has said so far."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.warnings: list[dict[str, Any]] = []
        self.now = 0.0
        # Of the workers that have told what they have: how many more are open.
        self.more: dict[int, int] = {}

    def take(self, name: str, data: Any) -> None:
        """One event."""
        if name == "state":
            self.state = data
        elif name == "warnings":
            self.warnings = data
        elif name == "exchanges":
            self.now = data.get("now", self.now)
            self.more[data.get("worker", 0)] = data.get("more", 0)
            for row in (*data["open"], *data["ended"]):
                self.rows[row["id"]] = row
            for each in data["gone"]:
                self.rows.pop(each, None)

    @property
    def complete(self) -> bool:
        """Have all workers told what they have?"""
        return len(self.more) >= int(self.state.get("workers", 1))

    @property
    def facts(self) -> str:
        """What is told of the proxy itself."""
        workers = self.state.get("workers", 1)
        told = f"version {self.state.get('version', '?')}"
        more = sum(self.more.values())
        if more:
            told = f"{more} more open, not shown  {told}"
        return told if workers == 1 else f"{workers} workers  {told}"
