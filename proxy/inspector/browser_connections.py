"""Browsers and the connections they have: counted by each worker, told by one.

The kernel gives the connections of one browser to any worker, so that none of them
sees how many there are. The one whose feed is looked at adds up what all count.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from proxy.observe.findings import Finding
from proxy.observe.list_row import text

BROWSERS_LIMIT = 6  # connections of one browser to one origin, by HTTP/1.1
MOST_BROWSERS = 200  # that one worker tells another of
MOST_IDS = 100  # of exchanges that one warning names


# What one expects of it, with many tabs that look at one feed.
SHARED = (
    "; share does not help here: it saves connections to the upstream, while each tab "
    "keeps its own to the proxy"
)


class Browser(Struct):
    """One browser at one host, and its requests that are open."""

    client: str
    host: str
    agent: str
    count: int
    ids: list[str]
    shared: int = 0  # of them, those that get the stream of a route with `share`

    @property
    def key(self) -> tuple[str, str, str]:
        return self.client, self.host, self.agent


def browser(key: tuple[bytes, bytes, bytes], ids: list[str], shared: int) -> Browser:
    """Of the client's address, `Host` and `User-Agent`."""
    client, host, agent = map(text, key)
    return Browser(client, host, agent, len(ids), ids[:MOST_IDS], shared)


def added_up(told: Iterable[Browser]) -> list[Browser]:
    """What several workers have counted, as one of them would have."""
    found: dict[tuple[str, str, str], Browser] = {}
    for each in told:
        known = found.setdefault(
            each.key, Browser(each.client, each.host, each.agent, 0, [])
        )
        known.count += each.count
        known.shared += each.shared
        known.ids = [*known.ids, *each.ids][:MOST_IDS]
    return list(found.values())


def crowded(browsers: Iterable[Browser]) -> list[tuple[Finding, Browser]]:
    """Those that have no connection left, or a single one."""
    return [
        (connections(each), each)
        for each in browsers
        if each.count >= BROWSERS_LIMIT - 1
    ]


def connections(found: Browser) -> Finding:
    if found.count >= BROWSERS_LIMIT:
        left, follows = "none", "so the next request waits until one of them ends"
    else:
        left, follows = "one", "so only one is left, and later requests will wait"
    return Finding(
        "connections",
        (*found.key, left),
        f"a browser at {found.client} has {found.count} requests open to "
        f"{found.host}: browsers open at most {BROWSERS_LIMIT} HTTP/1.1 connections "
        f"per host, {follows}; close unused streams, use one stream for several tabs, "
        "use several host names, or HTTPS, over which the proxy speaks HTTP/2 "
        "(serve --tls dev)" + (SHARED if found.shared else ""),
    )
