"""What is wrong with exchanges that run: read off their counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.exchange.exchange import Exchange
from proxy.inspector.browser_connections import MOST_BROWSERS, Browser, browser, crowded
from proxy.inspector.upstream_cure import likely_cure
from proxy.observe.findings import Finding
from proxy.observe.list_row import text
from proxy.stream.families import named
from proxy.timeline import Phase, Timeline

SLOW_SECONDS = 5.0  # for which bytes wait that the client does not read


class Findings:
    """Collects them, one for each thing that is wrong."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.found: dict[tuple[str, ...], Finding] = {}
        self.browsers: dict[tuple[bytes, bytes, bytes], list[Exchange]] = {}

    def look(self, exchanges: Iterable[Exchange]) -> None:
        """Look at some exchanges."""
        for exchange in exchanges:
            if exchange.phase in (Phase.RELAYING, Phase.TUNNEL):
                self.look_at(exchange)

    def look_at(self, exchange: Exchange) -> None:
        timeline, route = exchange.timeline, exchange.route
        if timeline.held_since is not None:
            if self.now - timeline.held_since >= SLOW_SECONDS:
                self.slow(exchange)
        elif timeline.stream and route is not None:
            limit = route.route.stall_warning_seconds
            if limit and self.now - timeline.call.silent_since >= limit:
                self.stalled(exchange, route.prefix, limit)
        if exchange.is_finishing:
            return  # its browser has left
        if timeline.version == "2.0":
            return  # all of its requests share one connection
        head = exchange.head
        mode = head.index.get(b"sec-fetch-mode")  # only browsers send it
        if mode is not None and mode != b"websocket":
            host, agent = head.get(b"host") or b"", head.get(b"user-agent") or b""
            self.browsers.setdefault((timeline.client, host, agent), []).append(
                exchange
            )

    def slow(self, exchange: Exchange) -> None:
        client = text(exchange.timeline.client)
        self.add(
            Finding(
                "slow client",
                (client, exchange.timeline.route or ""),
                f"client {client} is slow to read {shown_route(exchange)}: data has "
                f"been waiting for it for more than {SLOW_SECONDS:g} s",
            ),
            exchange,
        )

    def stalled(self, exchange: Exchange, prefix: str, limit: float) -> None:
        self.add(
            Finding(
                "stall",
                (prefix, exchange.timeline.call.upstream or ""),
                f"stall: {shown_route(exchange)} has sent nothing for more than "
                f"{limit:g} s inside a stream (stall_warning_seconds)",
            ),
            exchange,
        )

    def bursts(
        self, exchange: Exchange, verdict: str, *, behind_us: bool = False
    ) -> None:
        """A stream was seen to come in bursts, or to be read in bursts."""
        timeline = exchange.timeline
        if behind_us:
            client = text(timeline.client)
            key = (client, timeline.route or "")
            said = f"{shown_route(exchange)} is held behind us: client {client} reads "
            self.add(Finding("held behind us", key, f"{said}{verdict}"), exchange)
            return
        key = (timeline.route or "", timeline.call.upstream or "")
        cure = likely_cure(exchange.response_head)
        said = f"{shown_route(exchange)}: the upstream itself sends in bursts: "
        self.add(Finding("bursts", key, f"{said}{verdict}{cure}"), exchange)

    def add(self, finding: Finding, exchange: Exchange) -> None:
        known = self.found.setdefault((finding.kind, *finding.key), finding)
        known.timelines.append(exchange.timeline)

    def all(self) -> list[Finding]:
        """All that was found, but for what browsers have open."""
        return list(self.found.values())

    def crowded(self) -> list[Finding]:
        """Browsers that have no connection left here, or a single one."""
        return [finding for finding, _ in crowded(self.counted(lambda _: ""))]

    def counted(self, called: Callable[[Timeline], str]) -> list[Browser]:
        """What browsers have open; `called` gives the names of exchanges."""
        most = sorted(self.browsers.items(), key=lambda each: -len(each[1]))
        return [
            browser(
                key,
                [called(each.timeline) for each in exchanges],
                sum(map(shares, exchanges)),
            )
            for key, exchanges in most[:MOST_BROWSERS]
        ]


def shares(exchange: Exchange) -> bool:
    """May its stream be that of others, too?"""
    timeline = exchange.timeline
    route = exchange.compiled.find(timeline.route or "")  # of any worker
    shared = route is not None and route.route.share is not None
    return shared and timeline.stream


def truncated(timeline: Timeline) -> Finding:
    """A stream that looks complete to its client, and is not."""
    family = named(timeline.call.family or "")
    return Finding(
        "truncated",
        (timeline.route or "",),
        f"{route_and_target(timeline)}: the upstream ended a stream of {family.title} "
        f"without its end ({family.complete_when}): most clients take it for complete",
    )


def shown_route(exchange: Exchange) -> str:
    """The route and the target of an exchange."""
    return route_and_target(exchange.timeline)


def route_and_target(timeline: Timeline) -> str:
    """The route and the target, as warnings name them."""
    return f"route {timeline.route} ({timeline.call.upstream})"
