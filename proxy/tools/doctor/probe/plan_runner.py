"""One examination: which requests are made, in which order, until enough is seen.

A request is made again in other words only where that answers a question: a
stream that arrives event by event needs no comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from proxy.timeline import monotonic
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.comparison import OVER_HTTP1
from proxy.tools.doctor.probe.connect import tls_context
from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.request import (
    SAFE,
    Ask,
    check_url,
    complete,
    variants,
)
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import Result, judge_hops, judge_one, judge_through
from proxy.tools.doctor.test_streams import PROGRAMS, Program
from proxy.tools.doctor.verdict import Kind

ENOUGH_EVENTS = 40  # that came one by one: it streams, and goes on streaming
ENOUGH_SECONDS = 8.0
AGAIN = 2  # times that a chain is measured again where a hold is doubtful
MARGIN = 3.0  # seconds that a variant may take longer
PAGES = (  # what only a dev server answers, and what is in it
    ("/@vite/client", b"vite", "vite"),
    ("/webpack-dev-server", b"Assets Report", "webpack-dev-server"),
)
TICK = 0.2  # seconds between two words of progress
PROBE = Limits(3.0, 2.0)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What was asked for."""

    ask: Ask
    hops: tuple[str, ...] = ()
    compare: str = "auto"  # none, auto, all
    max_time: float = 20.0
    product: str = ""
    in_turn: bool = False  # hops one after the other


@dataclass(slots=True, eq=False)
class Under:
    """A request that is under way."""

    label: str
    since: float
    reads: int = 0
    size: int = 0


class PlanRunner:
    """Runs a plan. `progress` hears what is under way, `stop` ends it early."""

    def __init__(self, progress: Tell, stop: asyncio.Event) -> None:
        self.progress = progress
        self.stop = stop
        self.open: list[Under] = []

    # -- one URL

    async def one(self, plan: ProbePlan) -> Result:
        """The request, and its variants if it is held or cannot be told."""
        base = complete(plan.ask)
        recordings = await self.as_browsers_ask(base, plan)
        result = judge_one(recordings, plan.product)
        if not self.worth_comparing(plan, result):
            return result
        limit = min(recordings[0].ended + MARGIN, plan.max_time)
        everything = plan.compare == "all"
        for variant in variants(base, all_methods=everything):
            if self.stop.is_set():
                break
            recordings.append(await self.measure(variant, limit, watch=True))
        recordings[0] = await self.probed(recordings[0], plan)
        return judge_one(recordings, plan.product)

    async def as_browsers_ask(self, base: Ask, plan: ProbePlan) -> list[ProbeRecording]:
        """The request; by HTTP/1.1 beside it, where the server chose HTTP/2."""
        repeats = plan.compare == "all" or (
            plan.compare == "auto" and plan.ask.method in SAFE
        )
        beside: list[asyncio.Future[ProbeRecording]] = []
        if base.place[0] == "https":
            tls_context(
                insecure=base.insecure, http2=False
            )  # not while the first one is measured

        def began(response: FetchedResponse) -> None:
            if repeats and not beside and response.http2 is not None:
                older = replace(base, http2=False, label=OVER_HTTP1)
                measured = self.measure(older, plan.max_time, watch=True)
                beside.append(asyncio.ensure_future(measured))

        recording = await self.measure(base, plan.max_time, watch=True, began=began)
        return [recording, *await asyncio.gather(*beside)]

    def worth_comparing(self, plan: ProbePlan, result: Result) -> bool:
        """Is there a question left, and may it be asked?"""
        recording = result.cases[0].recording
        if recording.status >= 300 or self.stop.is_set():
            return False
        if not (recording.answered or recording.ending == "no head"):
            return False
        if plan.compare == "auto":
            page = result.verdict.kind is Kind.NO_STREAM
            return result.status != 0 and not page and plan.ask.method in SAFE
        return plan.compare == "all"

    # -- several hops

    async def hops(self, plan: ProbePlan) -> Result:
        """The same request at each hop, at the same time."""
        asks = []
        for url in plan.hops:
            ask = complete(replace(plan.ask, url=check_url(url)))
            asks.append(replace(ask, label=urlsplit(ask.url).netloc))
        recordings = await self.at_each(asks, plan)
        result = judge_hops(recordings, plan.product)
        for _ in range(AGAIN):
            if not doubtful(result) or self.stop.is_set():
                break
            # A busy machine's breath does not come twice at the same hop.
            before = where(result)
            recordings = await self.at_each(asks, plan)
            result = judge_hops(recordings, plan.product)
            if result.verdict.held and where(result) == before:
                break
        if result.verdict.held:
            index = result.cases.index(result.holder)
            recordings[index] = await self.probed(recordings[index], plan)
            result = judge_hops(recordings, plan.product)
        return result

    async def at_each(self, asks: list[Ask], plan: ProbePlan) -> list[ProbeRecording]:
        """A recording of each hop."""
        if plan.in_turn:
            return [await self.measure(ask, plan.max_time) for ask in asks]
        return await asyncio.gather(*(self.measure(ask, plan.max_time) for ask in asks))

    # -- through a chain, from the test origin

    async def through(
        self, plan: ProbePlan, silence: float, origin: OriginServer, url: str
    ) -> Result:
        """All programs of the test origin, at `url`, through the chain, at once."""
        asks = through_asks(plan.ask, silence)
        direct = program_ask(Ask(f"{url}/"), PROGRAMS["steady"], silence)
        limit = max(plan.max_time, silence + 15)
        beside = asyncio.ensure_future(self.measure(replace(direct, label=""), limit))
        try:
            recordings = await asyncio.gather(
                *(self.measure(ask, limit) for ask in asks)
            )
            played = any(each.status == 200 for each in recordings)
            straight = await beside if played else ProbeRecording(direct.url)
        finally:
            beside.cancel()
        missed = urlsplit(url).netloc if origin.asked <= 1 else ""  # our own
        result = judge_through(straight, recordings, plan.product, missed)
        if result.verdict.held and not result.recognised:
            index = result.cases.index(result.holder)
            recordings[index] = await self.probed(recordings[index], plan)
            result = judge_through(straight, recordings, plan.product)
        return result

    # -- requests

    async def measure(
        self,
        ask: Ask,
        seconds: float,
        *,
        watch: bool = False,
        began: Callable[[FetchedResponse], None] | None = None,
    ) -> ProbeRecording:
        """One request. `began` is called with each read."""
        under = Under(ask.label or "listening", monotonic())
        self.open.append(under)

        def seen(response: FetchedResponse) -> bool:
            under.reads = len(response.arrivals)
            under.size = response.size
            if began is not None:
                began(response)
            return watch and enough(response)

        try:
            return await fetch(ask, Limits(seconds), seen, self.stop)
        finally:
            self.open.remove(under)

    async def tick(self) -> None:
        """Progress, a few times a second, also while nothing comes."""
        while True:
            await asyncio.sleep(TICK)
            if not self.open:
                continue
            waited = monotonic() - min(each.since for each in self.open)
            reads = sum(each.reads for each in self.open)
            size = sum(each.size for each in self.open)
            names = ", ".join(each.label for each in self.open)
            if len(self.open) > 2:
                names = f"{len(self.open)} streams"
            self.progress(f"{names}: {waited:.1f} s, {reads} reads, {size} bytes")

    async def probed(
        self, recording: ProbeRecording, plan: ProbePlan
    ) -> ProbeRecording:
        """Ask for the pages that give a dev server away, unless it is known."""
        powered = recording.get("x-powered-by") in (None, "Express")
        if plan.product or recording.get("server") or not powered:
            return recording
        for path, sign, product in PAGES:
            url = origin_of(recording.url) + path
            ask = complete(Ask(url, insecure=plan.ask.insecure))
            page = await fetch(ask, PROBE)
            if page.status == 200 and sign in page.content:
                return replace(recording, product=product)
        return recording


def doubtful(result: Result) -> bool:
    """Does it rest on a few late moments beside the next hop?"""
    verdict = result.verdict
    little = verdict.kind in (Kind.DELAYED, Kind.HEAD_LATE)
    return little and result.holder.compared is not None and (verdict.hold or 0) < 1.0


def where(result: Result) -> str:
    """At which hop it is held."""
    return result.holder.recording.url


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def url_at(host: str, port: int) -> str:
    """The URL of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def enough(response: FetchedResponse) -> bool:
    """So many events came one by one that it streams."""
    arrivals = response.arrivals
    if len(arrivals) < ENOUGH_EVENTS or arrivals[-1].at < ENOUGH_SECONDS:
        return False
    if len(arrivals) % ENOUGH_EVENTS:
        return False
    shape = shape_of(response.recording())
    return len(shape.bursts) >= 0.8 * len(shape.events) and not shape.merged


def through_asks(ask: Ask, silence: float) -> list[Ask]:
    """The streams that are asked for through a chain."""
    found = []
    for program in PROGRAMS.values():
        found.append(program_ask(ask, program, silence))
    steady = PROGRAMS["steady"]
    plain = program_ask(ask.with_field("Accept-Encoding", "identity"), steady, silence)
    found.append(replace(plain, label="steady, without compression"))
    for name in ("steady", "ndjson"):
        post = replace(ask, method="POST", body=ask.body or b'{"stream": true}')
        post = program_ask(post, PROGRAMS[name], silence)
        found.append(replace(post, label=f"{name}, as POST"))
    return found


def program_ask(ask: Ask, program: Program, silence: float) -> Ask:
    """The request for a program, by the query: the path stays the user's."""
    parts = urlsplit(ask.url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("stream", program.name)]
    if program.silent and silence != program.silent:
        query.append(("silent", f"{silence:g}"))
    url = urlunsplit(parts._replace(query=urlencode(query)))
    accept = "text/event-stream" if program.type == "events" else "*/*"
    if ask.method == "POST":
        accept = "*/*"
    asked = complete(replace(ask, url=url, label=program.name))
    return asked if ask.has("accept") else asked.with_field("Accept", accept)


async def with_origin(
    runner: PlanRunner, plan: ProbePlan, host: str, port: int, silence: float
) -> Result:
    """Run the test origin for as long as the measurement takes."""
    origin = OriginServer()
    port = await origin.start(host, port)
    here = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    try:
        return await runner.through(plan, silence, origin, url_at(here, port))
    finally:
        await origin.stop()
