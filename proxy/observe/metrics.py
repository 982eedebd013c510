"""Counters of ended exchanges, and what the running ones add at a scrape.

Streams stand apart from plain requests: a stream of an hour says nothing about
how slow requests are. Labels are bounded: a route is its configured prefix,
never a path; kinds, endings and classes of status are few.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.observe.answer_metrics import AnswerMetrics
from proxy.observe.histogram import (
    DURATIONS,
    FIRST_BYTES,
    GAPS,
    HOLDS,
    LAGS,
    Histogram,
)
from proxy.observe.list_row import kind
from proxy.observe.prometheus_text import Family, Kind
from proxy.timeline import Timeline

FAMILIES: tuple[tuple[str, Kind, str], ...] = (
    ("exchanges_open", "gauge", "Exchanges currently in progress."),
    ("exchanges_started_total", "counter", "Exchanges started."),
    (
        "exchanges_ended_total",
        "counter",
        "Exchanges ended, by outcome.",
    ),
    (
        "first_byte_seconds",
        "histogram",
        "Time from the request to the first body byte.",
    ),
    (
        "longest_gap_seconds",
        "histogram",
        "Longest gap between two pieces of a response.",
    ),
    ("longest_hold_seconds", "histogram", "Longest time the proxy held a piece."),
    (
        "duration_seconds",
        "histogram",
        "Time from the request to the end of the exchange.",
    ),
    ("body_bytes_total", "counter", "Body bytes, including those of open exchanges."),
    ("pieces_total", "counter", "Response pieces, including those of open exchanges."),
    ("decoded_total", "counter", "Compressed responses that were decoded."),
    (
        "verdicts_total",
        "counter",
        "Ended streams of known protocol families, by verdict.",
    ),
    (
        "finished_total",
        "counter",
        "Exchanges that went on after their client had left, by outcome.",
    ),
    (
        "unread_bytes_total",
        "counter",
        "Body bytes of the upstream after its client had left.",
    ),
    ("retries_total", "counter", "Repeated attempts to reach an upstream."),
    ("loop_lag_seconds", "histogram", "Event loop lag: how late its timer fired."),
)
NO_ROUTE = "-"  # what came was no request, or no route took it


def label(timeline: Timeline) -> str:
    """plain, or which kind of stream it is."""
    if not timeline.stream:
        return "plain"
    found = kind(timeline)
    return found if found in ("event-stream", "ndjson", "websocket") else "stream"


class Series:
    """What is counted for one route and one kind."""

    __slots__ = (
        "decoded",
        "duration",
        "endings",
        "finished",
        "first_byte",
        "gap",
        "hold",
        "pieces",
        "received",
        "retries",
        "sent",
        "unread",
        "verdicts",
    )

    def __init__(self) -> None:
        self.verdicts: dict[tuple[str, str], int] = {}
        self.finished: dict[str, int] = {}
        self.unread = 0
        self.endings: dict[tuple[str, int], int] = {}
        self.decoded: dict[tuple[str, ...], int] = {}
        self.first_byte = Histogram(FIRST_BYTES)
        self.gap = Histogram(GAPS)
        self.hold = Histogram(HOLDS)
        self.duration = Histogram(DURATIONS)
        self.sent = self.received = self.pieces = self.retries = 0

    def ended(self, timeline: Timeline) -> None:
        """Count one exchange."""
        call = timeline.call
        key = (
            timeline.ending._value_,
            timeline.status // 100,
        )  # two calls less than value
        self.endings[key] = self.endings.get(key, 0) + 1
        self.sent += timeline.bytes_sent
        self.received += timeline.bytes_received
        self.retries += call.retries
        first = timeline.first_byte_seconds
        if first is not None:
            self.first_byte.observe(first)
        if call.pieces:
            self.pieces += call.pieces
            self.hold.observe(timeline.longest_hold)
            if call.pieces > 1:
                self.gap.observe(call.longest_gap)
        self.duration.observe(timeline.duration)
        if call.coded:
            self.decoded[call.coded] = self.decoded.get(call.coded, 0) + 1
        finish = call.finish
        if finish is not None:
            ending = finish.ending.value
            self.finished[ending] = self.finished.get(ending, 0) + 1
            self.unread += finish.unread_bytes
        if call.verdict is not None and call.family is not None:
            verdict = (call.family, call.verdict)
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1


class Metrics:
    """All that one worker has counted."""

    def __init__(self) -> None:
        self.series: dict[tuple[str | None, str], Series] = {}
        self.answers = AnswerMetrics()
        self.lag = Histogram(LAGS)

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over; an observer."""
        key = (timeline.route, label(timeline))
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = Series()
        series.ended(timeline)
        # Of a kept stream it is counted once: see `answered`.
        if timeline.call.answer is not None and timeline.visit is None:
            self.answers.ended(timeline)

    def answered(self, timeline: Timeline) -> None:
        """The upstream of a kept stream has ended."""
        self.answers.ended(timeline)

    def families(self, running: Iterable[Timeline]) -> list[Family]:
        """Everything that is counted, the running exchanges included."""
        told = {
            name: Family(f"unbuffered_{name}", metric, text, [])
            for name, metric, text in FAMILIES
        }
        passing, started = self.tell_running(running, told)
        for (route, what), series in self.series.items():
            labels = (("route", route or NO_ROUTE), ("kind", what))
            for (ending, status), count in series.endings.items():
                told["exchanges_ended_total"].add(
                    count, *labels, ("ending", ending), ("status", f"{status}xx")
                )
                started[route] = started.get(route, 0) + count
            for codings, count in series.decoded.items():
                told["decoded_total"].add(
                    count, *labels, ("coding", ", ".join(reversed(codings)))
                )
            for (family, verdict), count in series.verdicts.items():
                told["verdicts_total"].add(
                    count,
                    ("route", route or NO_ROUTE),
                    ("family", family),
                    ("verdict", verdict),
                )
            for ending, count in series.finished.items():
                told["finished_total"].add(count, *labels, ("ending", ending))
            if series.finished:
                told["unread_bytes_total"].add(series.unread, *labels)
            told["retries_total"].add(series.retries, *labels)
            series.first_byte.tell(told["first_byte_seconds"], *labels)
            series.gap.tell(told["longest_gap_seconds"], *labels)
            series.hold.tell(told["longest_hold_seconds"], *labels)
            series.duration.tell(told["duration_seconds"], *labels)
        self.tell_passed(passing, told)
        for route, count in started.items():
            told["exchanges_started_total"].add(count, ("route", route or NO_ROUTE))
        self.lag.tell(told["loop_lag_seconds"])
        return [*told.values(), *self.answers.families(NO_ROUTE)]

    def tell_running(
        self, running: Iterable[Timeline], told: dict[str, Family]
    ) -> tuple[dict[tuple[str | None, str], list[int]], dict[str | None, int]]:
        """What is open, and what has passed of it so far.

        An exchange whose response head has not come counts as open only: its
        kind is not known, and a counter never goes back.
        """
        opened: dict[tuple[str | None, str], int] = {}
        passing: dict[tuple[str | None, str], list[int]] = {}
        started: dict[str | None, int] = {}
        for timeline in running:
            answered = timeline.status != 0
            key = (timeline.route, label(timeline) if answered else "waiting")
            opened[key] = opened.get(key, 0) + 1
            started[timeline.route] = started.get(timeline.route, 0) + 1
            if answered:
                sums = passing.setdefault(key, [0, 0, 0])
                sums[0] += timeline.sent_bytes
                sums[1] += timeline.bytes_received
                sums[2] += timeline.call.pieces
        for (route, what), count in opened.items():
            told["exchanges_open"].add(
                count, ("route", route or NO_ROUTE), ("kind", what)
            )
        return passing, started

    def tell_passed(
        self,
        passing: dict[tuple[str | None, str], list[int]],
        told: dict[str, Family],
    ) -> None:
        """Bytes and pieces of ended and of running exchanges together."""
        for key in {**self.series, **passing}:
            sent, received, pieces = passing.get(key, (0, 0, 0))
            series = self.series.get(key)
            if series is not None:
                sent += series.sent
                received += series.received
                pieces += series.pieces
            route, what = key
            labels = (("route", route or NO_ROUTE), ("kind", what))
            told["body_bytes_total"].add(sent, *labels, ("direction", "sent"))
            told["body_bytes_total"].add(received, *labels, ("direction", "received"))
            told["pieces_total"].add(pieces, *labels)
