"""One examination: which requests are made, in which order, until enough is seen.

A request is made again in other words only where that answers a question: a
stream that arrives event by event needs no comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from proxy.products.hold_kind import ANY
from proxy.quantities import counted
from proxy.timeline import Clock, monotonic
from proxy.tools.doctor.comparison import BASE, OVER_HTTP1, may_hold_head
from proxy.tools.doctor.old_version import may_be_the_version
from proxy.tools.doctor.probe.beside import MARGIN, Beside, Measurement, Watch
from proxy.tools.doctor.probe.connect import tls_context
from proxy.tools.doctor.probe.early_end import (
    SILENT_SECONDS,
    chain_is_told,
    enough,
    streams,
)
from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.origin_asks import program_ask, through_asks
from proxy.tools.doctor.probe.request import (
    SAFE,
    Ask,
    check_url,
    complete,
    variants,
)
from proxy.tools.doctor.probe.websocket_body import SCHEMES
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import Result, judge_hops, judge_one, judge_through
from proxy.tools.doctor.test_streams import PROGRAMS
from proxy.tools.doctor.verdict import Kind

AGAIN = 2  # times that a chain is measured again where a hold is doubtful
PAGES = (  # what only a dev server answers, and what is in it
    ("/@vite/client", b"vite", "vite"),
    ("/webpack-dev-server", b"Assets Report", "webpack-dev-server"),
    ("/__nextjs_font/geist-latin.woff2", b"wOF2", "next"),
)
PLAIN = "without compression"
MANY = 4  # requests; more are not named one by one
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


class PlanRunner:
    """Runs a plan. `progress` hears what is under way, `stop` ends it early."""

    def __init__(
        self, progress: Tell, stop: asyncio.Event, clock: Clock = monotonic
    ) -> None:
        self.progress = progress
        self.stop = stop
        self.clock = clock
        self.open: list[Measurement] = []
        self.began = clock()

    # -- one URL

    async def one(self, plan: ProbePlan) -> Result:
        """The request, and its variants if it is held or cannot be told."""
        base = Measurement(complete(plan.ask))
        repeats = plan.compare == "all" or (
            plan.compare == "auto" and plan.ask.method in SAFE
        )
        asks = variants(base.ask, all_methods=plan.compare == "all")
        beside = Beside(base, asks, self.begin, plan.max_time)
        suspecting = asyncio.ensure_future(beside.suspect()) if repeats else None
        try:
            recordings = await self.as_browsers_ask(base, plan, repeats=repeats)
            result = judge_one(recordings, plan.product)
            if may_hold_head(result.cases) and not self.stop.is_set():
                repeat = Measurement(replace(base.ask, label="once more"))
                recordings.append(await self.begin(repeat, plan.max_time, told_alone))
                result = judge_one(recordings, plan.product)
            if not self.worth_comparing(plan, result):
                held = result.verdict.held and not self.stop.is_set()
                if not held or result.recognised:
                    return result
                recordings[0] = await self.probed(recordings[0], plan)
                return judge_one(recordings, plan.product)
            found = await beside.measured(recordings[0], result.verdict)
        finally:
            if suspecting is not None:
                suspecting.cancel()
            beside.cancel()
        alone = beside.broke(recordings[0], found)
        if alone:
            base = Measurement(base.ask)
            recordings = await self.as_browsers_ask(base, plan, repeats=False)
        limit = min(recordings[0].ended + MARGIN, plan.max_time)
        for each in found:
            # One at a time, where the back end serves no more.
            again = (alone or each.disturbed) and not self.stop.is_set()
            recordings.append(
                await self.measure(each.ask, limit) if again else each.recording
            )
        recordings[0] = await self.probed(recordings[0], plan)
        return judge_one(recordings, plan.product)

    async def as_browsers_ask(
        self, base: Measurement, plan: ProbePlan, *, repeats: bool
    ) -> list[ProbeRecording]:
        """The request; by HTTP/1.1 beside it, where the server chose HTTP/2."""
        beside: list[asyncio.Future[ProbeRecording]] = []
        if base.ask.tls and base.ask.http2:
            tls_context(
                insecure=base.ask.insecure, http2=False
            )  # not while the first one is measured

        def watch(one: Measurement) -> bool:
            by_http2 = one.response is not None and one.response.http2 is not None
            if repeats and not beside and by_http2:
                older = replace(base.ask, http2=False, label=OVER_HTTP1)
                beside.append(self.begin(Measurement(older), plan.max_time, told_alone))
            return told_alone(one)

        recording = await self.run(base, plan.max_time, watch)
        return [recording, *await asyncio.gather(*beside)]

    def worth_comparing(self, plan: ProbePlan, result: Result) -> bool:
        """Is there a question left, and may it be asked?"""
        recording = result.cases[0].recording
        if recording.status >= 300 or self.stop.is_set():
            return False
        if not (recording.answered or recording.ending == "no head"):
            return False
        if plan.compare == "auto":
            page = result.verdict.kind in (Kind.NO_STREAM, Kind.NO_UPGRADE)
            once_more = result.verdict.kind is Kind.HEAD_LATE and len(result.cases) > 2
            known = result.status == 0 or page or once_more
            return not known and plan.ask.method in SAFE
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
            older, plain = await asyncio.gather(
                self.by_old_version(asks, result, index, plan),
                self.uncompressed(asks[index], result, plan),
            )
            result = judge_hops(recordings, plan.product, older, plain)
        return result

    async def by_old_version(
        self, asks: list[Ask], result: Result, index: int, plan: ProbePlan
    ) -> ProbeRecording | None:
        """The hop behind the one that holds, asked by HTTP/1.0, if that can be why."""
        if index + 1 == len(asks) or self.stop.is_set():
            return None
        if plan.ask.method not in SAFE or asks[index + 1].websocket:
            return None
        behind = result.cases[index + 1]
        if not may_be_the_version(result.verdict, behind):
            return None
        ask = replace(asks[index + 1], minor=0, http2=False, label="by HTTP/1.0")
        limit = min(behind.recording.ended + MARGIN, plan.max_time)
        return await self.run(Measurement(ask), limit, shown)

    async def uncompressed(
        self, ask: Ask, result: Result, plan: ProbePlan
    ) -> ProbeRecording | None:
        """The hop that holds, where not even its head came, asked without compression.

        A compressor that has nothing to output keeps the head that would name it.
        """
        holder = result.holder.recording
        if holder.answered or holder.ending != "no head" or self.stop.is_set():
            return None
        if plan.ask.method not in SAFE or holder.asked("accept-encoding") == "identity":
            return None
        ask = replace(ask.with_field("Accept-Encoding", "identity"), label=PLAIN)
        limit = min(SILENT_SECONDS, plan.max_time)
        return await self.run(Measurement(ask), limit, shown)

    async def at_each(self, asks: list[Ask], plan: ProbePlan) -> list[ProbeRecording]:
        """A recording of each hop."""
        if plan.in_turn:
            return [await self.measure(ask, plan.max_time) for ask in asks]
        all_hops = [Measurement(ask) for ask in asks]

        def watch(one: Measurement) -> bool:
            if one.due() and chain_is_told([each.recording for each in all_hops]):
                for each in all_hops:
                    each.end()
            return False

        return await asyncio.gather(
            *(self.run(each, plan.max_time, watch) for each in all_hops)
        )

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
            played = any(each.status in (101, 200) for each in recordings)
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

    async def measure(self, ask: Ask, seconds: float) -> ProbeRecording:
        """One request, to its end."""
        return await self.run(Measurement(ask), seconds, to_the_end)

    def begin(
        self, one: Measurement, seconds: float, watch: Watch
    ) -> asyncio.Future[ProbeRecording]:
        """One request beside others."""
        one.began = self.clock()
        return asyncio.ensure_future(self.run(one, seconds, watch))

    async def run(
        self, one: Measurement, seconds: float, watch: Watch
    ) -> ProbeRecording:
        """One request. `watch` is called with each read; True: enough is seen."""
        one.clock = self.clock
        one.began = self.clock()
        self.open.append(one)

        def opened(response: FetchedResponse) -> None:
            one.response = response

        def seen(_: FetchedResponse) -> bool:
            return watch(one)

        try:
            return await fetch(
                one.ask, Limits(seconds), seen, self.stop, self.clock, opened
            )
        finally:
            self.open.remove(one)

    async def tick(self) -> None:
        """Progress, a few times a second, also while nothing comes."""
        while True:
            await asyncio.sleep(TICK)
            if self.open:
                self.progress(under_way(self.open, self.clock() - self.began))

    async def probed(
        self, recording: ProbeRecording, plan: ProbePlan
    ) -> ProbeRecording:
        """Ask for the pages that give a dev server away, unless it is known."""
        powered = recording.get("x-powered-by") in (None, "Express")
        if plan.product or recording.get("server") or not powered:
            return recording
        asks = [
            complete(Ask(origin_of(recording.url) + path, insecure=plan.ask.insecure))
            for path, _, _ in PAGES
        ]
        pages = await asyncio.gather(*(fetch(ask, PROBE) for ask in asks))
        for (_, sign, product), page in zip(PAGES, pages, strict=True):
            if page.status == 200 and sign in page.content:
                return replace(recording, product=product)
        return recording


def shown(one: Measurement) -> bool:
    """Is it certain that this one is not held?"""
    return one.due() and streams(one.recording)


def to_the_end(_: Measurement) -> bool:
    return False


def told_alone(one: Measurement) -> bool:
    """Is it certain that it streams, whatever else is asked?"""
    return one.due() and enough(one.recording)


def under_way(open_ones: Sequence[Measurement], waited: float) -> str:
    """What is being measured, on one line: how much came, and of what nothing."""
    if len(open_ones) > MANY:
        reads = sum(each.reads for each in open_ones)
        return f"{waited:.1f} s, {len(open_ones)} streams: {counted(reads, 'read')}"
    parts = [
        f"{counted(each.reads, 'read')} {each.ask.label or BASE}"
        for each in open_ones
        if each.reads
    ]
    quiet = [each.ask.label or BASE for each in open_ones if not each.reads]
    if quiet:
        parts.append(f"nothing yet {', '.join(quiet)}")
    return f"{waited:.1f} s, {', '.join(parts)}"


def doubtful(result: Result) -> bool:
    """Does it rest on a few late moments beside the next hop, or on their pace?"""
    verdict = result.verdict
    late = verdict.kind in ANY and verdict.kind is not Kind.BLOCKS
    few = (verdict.hold or 0) < 1.0 or not verdict.sure
    return late and few and result.holder.compared is not None


def where(result: Result) -> str:
    """At which hop it is held."""
    return result.holder.recording.url


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{SCHEMES.get(parts.scheme, parts.scheme)}://{parts.netloc}"


def url_at(host: str, port: int) -> str:
    """The URL of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
