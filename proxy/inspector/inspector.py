"""The inspector: what the proxy answers itself under /_unbuffered/.

Owns who may look, and what is asked for. Costs next to nothing while nobody
looks: a comparison for each request, and the account of each exchange, which
exists anyway, kept a while.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from proxy.config.model import Config
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_stream import KeptStream
from proxy.http1.head import RequestHead
from proxy.inspector import login
from proxy.inspector.access import LOGIN, Access, Judgement
from proxy.inspector.access_rule import (
    DRAIN,
    EXCHANGE,
    KEPT,
    PATH,
    REQUEST,
    Asked,
    asked,
    may_look,
)
from proxy.inspector.background_checks import BackgroundChecks, bursts_of
from proxy.inspector.browser_connections import MOST_IDS, Browser
from proxy.inspector.detectors import Findings
from proxy.inspector.drain_endpoint import AT_ONCE, DrainEndpoint, ProgressSource
from proxy.inspector.exchange_endpoint import ExchangeEndpoint
from proxy.inspector.exchange_history import ExchangeHistory, counted
from proxy.inspector.list_feed import ListFeed, warning
from proxy.inspector.metrics_endpoint import MetricsEndpoint
from proxy.inspector.own_response import READ, OwnResponse, refuse
from proxy.inspector.peer_workers import OWN, PeerWorker, owned
from proxy.inspector.readiness import health, ready
from proxy.inspector.state import state
from proxy.inspector.static_files import send_asset
from proxy.inspector.target_warnings import unhealthy_targets
from proxy.inspector.withheld import Withheld
from proxy.inspector.wrong_tokens import WrongTokens
from proxy.internal_errors import report
from proxy.kept.registry import KeptStreams
from proxy.observe.config_reloads import ConfigReloads
from proxy.observe.list_row import identity
from proxy.policy.error_detail import ErrorDetail
from proxy.policy.local_client import is_direct
from proxy.timeline import Timeline, wall_clock
from proxy.transport.client_host import ClientHost, HostedStream, server_name
from proxy.transport.ticker import Ticker

__all__ = ["PATH", "Inspector"]
MOST_FEEDS = 32
WARNING_SECONDS = 1.0


class InspectedServer(Protocol):
    """What is looked into."""

    ticker: Ticker
    config: Config
    compiled: CompiledRoutes
    kept: KeptStreams[KeptStream]
    number: int  # of this worker
    siblings: tuple[str, ...]  # Unix sockets of the other workers
    reloads: ConfigReloads
    restarts: dict[int, int]  # of this worker, by its number

    @property
    def certificate_expiries(self) -> Collection[tuple[str, float]]:
        """When certificates expire, each with the listener that shows it."""

    @property
    def clients(self) -> Collection[ClientHost]:
        """All connections of clients."""

    @property
    def exchanges(self) -> Collection[Exchange]:
        """All exchanges that are under way, the oldest first."""

    @property
    def under_way(self) -> int:
        """How many exchanges there are."""

    @property
    def leaving(self) -> bool:
        """Is its end announced, or has it begun?"""

    @property
    def drain_progress(self) -> ProgressSource:
        """How far its end is."""

    @property
    def lacks_descriptors(self) -> bool:
        """Would the next connection be refused?"""


class Inspector:
    """The window into one server."""

    def __init__(self, server: InspectedServer) -> None:
        self.server = server
        self.answers: set[OwnResponse] = set()  # that are not complete
        self.admin_answers: set[OwnResponse] = set()  # those of the admin listener
        self.history = ExchangeHistory(server.exchanges, server.ticker)
        self.endpoint = ExchangeEndpoint(server, self.history)
        self.metrics_endpoint = MetricsEndpoint(server, self.history)
        self.drain_endpoint = DrainEndpoint(server)
        self.checks = BackgroundChecks(self.history, server.clients)
        self.started = wall_clock()
        self.warned: list[dict[str, object]] = []
        self.browsers: list[Browser] = []
        self.warned_at = float("-inf")
        self.wrong_tokens = WrongTokens(server.ticker.clock)
        self.wrong_links = WrongTokens(server.ticker.clock)
        self.configure(server.config)

    def configure(self, config: Config) -> None:
        """Be as a configuration says; called again after a reload."""
        self.settings = config.inspector
        self.history.error_detail = ErrorDetail(config)
        self.checks.configure(on=config.log.warnings)
        self.access = Access(config, self.wrong_tokens, self.wrong_links)
        self.withheld = Withheld(config, self.access)
        self.watched = self.withheld.watched  # in the targets that are looked at
        self.metrics_endpoint.configure(config.metrics.enabled is not False)
        self.end_feeds()
        self.history.configure(config)

    def end_feeds(self) -> None:
        """End the feeds that would not be given now, or not with what they show."""
        for answer in (*self.answers, *self.admin_answers):
            if answer.streams:
                may = self.gives(answer)
                if not may or (answer.bodies and not self.shows_bodies(answer)):
                    answer.end()

    def gives(self, answer: OwnResponse) -> bool:
        """Would it be given now?"""
        admin = answer.open is self.admin_answers
        question = Asked("feed", [], self.settings.enabled, admin)
        return self.access.still_opens(question, answer.client, answer.head)

    # -- what the server tells

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over."""
        try:
            self.history.ended(timeline)
        except Exception as error:
            report("the list of exchanges", error)
        counted = self.metrics_endpoint.counted
        if counted is not None:
            counted.ended(timeline)

    def begun(self, exchange: Exchange) -> None:
        """An exchange begins, and somebody looks. It goes on, whatever happens here."""
        try:
            self.history.begun(exchange)
        except Exception as error:
            report("the capture of an exchange", error)

    def close(self) -> None:
        """The server has stopped."""
        self.checks.close()
        self.history.close()

    # -- what is asked

    def serve(
        self, client: HostedStream, head: RequestHead, *, admin: bool = False
    ) -> bool:
        """Answer a request below PATH; False: it goes the way of all others.

        `admin`: it has come to the admin listener.
        """
        question = asked(self.server.config, head, admin=admin)
        if question is None:
            return False
        judged = self.access.judge(question, client, head)
        if judged is None:
            return False
        answers = self.admin_answers if admin else self.answers
        answer = OwnResponse(client, head, answers)
        compiled = self.server.compiled
        if compiled.request_ids is not None:
            answer.request_id = compiled.request_ids.of(
                head, client.address, compiled.is_trusted
            )
        try:
            self.answer(answer, question, judged)
        except Exception as error:
            answer.crashed("the inspector", error)
        return True

    def answer(self, answer: OwnResponse, question: Asked, judged: Judgement) -> None:
        """Find what a request asks for."""
        path, query, _, _ = question
        if judged.status:
            self.refuse(answer, question, judged)
        elif path == LOGIN:
            login.serve(answer, self.access)
        elif path == DRAIN:
            self.drain_endpoint.begin(answer, at_once=AT_ONCE in query)
        elif question.page:
            self.file(answer, question)
        elif path == "feed":
            self.feed(answer, own=OWN in query)
        elif path == "metrics":
            self.metrics_endpoint.metrics(answer, own=OWN in query)
        elif path == "health":
            health(answer, self.server)
        elif path == "ready":
            self.ready(answer, question)
        elif found := EXCHANGE.fullmatch(path):
            self.exchange(answer, found.groups(""), query)
        elif found := REQUEST.fullmatch(path):
            self.endpoint.request(answer, found[1], query)
        elif found := KEPT.fullmatch(path):
            self.endpoint.stream(answer, found[1], query)

    def refuse(self, answer: OwnResponse, question: Asked, judged: Judgement) -> None:
        """Say why not, and in a browser ask for the token, if that is missing."""
        if judged.status in (401, 429) and question.path in ("", LOGIN):
            login.ask(answer, judged)
        else:
            allow = b"POST" if question.path == DRAIN else READ
            refuse(answer, judged.status, judged.reason, judged.retry_after, allow)

    def ready(self, answer: OwnResponse, question: Asked) -> None:
        """Whether it is ready; with details for who may see them."""
        details = self.access.sees_details(question, answer.client, answer.head)
        ready(answer, self.server, details=details, own=OWN in question.query)

    def file(self, answer: OwnResponse, question: Asked) -> None:
        """A file of the page."""
        path = question.path
        if not path and login.enter(answer, self.access, question):
            return
        name = path.removeprefix("page/") if path else "index.html"
        if not send_asset(answer, name):
            refuse(answer, 404, "the inspector has no such file")

    def feed(self, answer: OwnResponse, *, own: bool) -> None:
        """The feed of the list; of all workers, unless only ours is asked for."""
        if not self.has_room(answer):
            return
        feed = ListFeed(self, answer, own=own)
        feed.start()
        if own or answer.over:
            return
        for path in self.server.siblings:
            neighbour = PeerWorker(path, answer, feed.told_elsewhere)
            owned(answer, neighbour.run(f"/_unbuffered/feed?{OWN}"))

    def exchange(
        self, answer: OwnResponse, found: tuple[str, ...], query: list[str]
    ) -> None:
        """One exchange, or its feed."""
        worker, number = int(found[0]), int(found[1])
        if not found[2]:
            self.endpoint.exchange(answer, number, worker, query)
        elif self.endpoint.is_elsewhere(worker, query) or self.has_room(answer):
            bodies = self.shows_bodies(answer) and "bodies=0" not in query
            self.endpoint.feed(answer, number, worker, query, bodies=bodies)

    def has_room(self, answer: OwnResponse) -> bool:
        """Is there room for one more feed? If not, says so."""
        if self.history.lookers < MOST_FEEDS:
            return True
        refuse(answer, 503, f"{MOST_FEEDS} feeds are already open")
        return False

    def shows_bodies(self, answer: OwnResponse) -> bool:
        """Without a token, whatever is configured, bodies do not leave this machine."""
        if not self.settings.bodies or self.access.inspector is not None:
            return self.settings.bodies
        address, head = answer.client.address, answer.head
        here = may_look("loopback", address, head, self.access.own_names)
        return here and is_direct(address, head, server_name(answer.client))

    # -- what the feed of the list asks

    @property
    def registry(self) -> KeptStreams[KeptStream]:
        """The streams that are kept."""
        return self.server.kept

    @property
    def worker(self) -> int:
        """The number of this worker."""
        return self.server.number

    def state(self) -> object:
        """What is the same for all exchanges."""
        workers = 1 + len(self.server.siblings)
        return state(self.server.config, self.started, workers)

    def warnings(self, now: float) -> list[dict[str, object]]:
        """What a person should know; looked for once a second."""
        if now - self.warned_at >= WARNING_SECONDS:
            self.warned_at = now
            self.warned = self.find(now)
        return self.warned

    def find(self, now: float) -> list[dict[str, object]]:
        findings = Findings(now)
        for exchange in counted(self.history.exchanges):
            findings.look((exchange,))
            bursts = bursts_of(exchange)
            if bursts is None:
                continue
            verdict = bursts.verdict()
            if verdict is not None:
                findings.bursts(exchange, verdict, behind_us=bursts.is_behind_us)
        self.browsers = findings.counted(self.called)
        return [
            *unhealthy_targets(self.server.compiled.by_prefix.values()),
            *(
                warning(finding, map(self.called, finding.timelines[:MOST_IDS]))
                for finding in findings.all()
            ),
        ]

    def called(self, timeline: Timeline) -> str:
        """How an exchange is called, which may not have been shown yet."""
        self.history.number(timeline)
        return identity(self.worker, timeline)
