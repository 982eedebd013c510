"""What is open and what was: found when somebody asks, kept in bounded memory.

Of ended exchanges the last accounts are kept, which exist anyway. What passes is
recorded as `[inspector] record` says: streams, and failures with what the proxy has
answered, whether anybody looks or not; everything else while somebody looks, and a
little longer, so that a page may be reloaded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import TypeAlias

from proxy.config.model import Config
from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_capture import KeptCapture
from proxy.exchange.log_sink import LogSink
from proxy.exchange.subscriber import Subscriber
from proxy.inspector.shown_heads import size_of, weight_of
from proxy.inspector.stream_records import StreamRecords
from proxy.internal_errors import report
from proxy.observe.capture_buffer import CaptureBudget, CaptureBuffer
from proxy.observe.list_row import Row, has_failed, row
from proxy.policy.error_detail import ErrorDetail
from proxy.policy.error_response import advice_on
from proxy.timeline import CallTimeline, Phase, Timeline
from proxy.transport.ticker import Ticker

Found: TypeAlias = tuple[Timeline, Exchange | None]  # None: it has ended

MOST_OPEN = 1000
MOST_RECENT = 500
MOST_RECORDED = 500  # of those that are older than the recent ones
# Of so many ended exchanges the heads are kept though nobody looked: what a
# person opens the inspector for has often just happened.
WITH_HEADS = 50
LINGER_SECONDS = 10.0
MOST_HEADS = 64 * 1024  # bytes of the heads of an ended exchange, to be kept


def counted(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Exchanges that run, with their accounts up to date.

    Those of the clients of a kept stream are not kept piece by piece.
    """
    for exchange in exchanges:
        source = exchange.source
        if isinstance(source, Subscriber):
            source.count()
        yield exchange


class ExchangeHistory:
    """All exchanges of one server, as far as they can be shown."""

    def __init__(self, exchanges: Collection[Exchange], ticker: Ticker) -> None:
        self.exchanges = exchanges  # under way
        self.ticker = ticker
        self.recent: deque[Timeline] = deque()  # the newest last
        self.recorded: deque[Timeline] = deque()  # older ones, that were recorded
        self.with_heads: deque[Timeline] = deque()
        self.most_heads = WITH_HEADS
        self.budget = CaptureBudget()
        self.streams = StreamRecords(self.budget)
        self.count = 0
        self.numbering = threading.Lock()  # a host may look from a thread of its own
        self.lookers = 0
        self.record = "streams"
        self.keeps = False  # is anything recorded?
        self.capturing = False  # also what is no stream
        self.until = 0.0
        self.error_detail: ErrorDetail | None = None  # the rule of the configuration

    def configure(self, config: Config) -> None:
        """Be as a configuration says, from now on."""
        settings = config.inspector
        before, self.record = self.record, config.recording
        contents, self.budget.contents = self.budget.contents, settings.bodies
        self.budget.resize(settings.record_bytes)
        if self.record == "off" or (contents and not settings.bodies):
            self.forget_all()
        elif self.record == "on-look" and before == "streams":
            self.streams.clear()
            if not self.lookers:
                self.forget_all()
        self.capturing = bool(self.lookers) and self.record != "off"
        self.most_heads = 0 if self.record == "off" else WITH_HEADS
        while len(self.with_heads) > self.most_heads:
            self.with_heads.popleft().heads = None
        self.budget.shrink()

    # -- what was

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over."""
        recent, with_heads = self.recent, self.with_heads
        recent.append(timeline)
        gone = recent.popleft() if len(recent) > MOST_RECENT else None
        with_heads.append(timeline)
        if len(with_heads) > self.most_heads:
            with_heads.popleft().heads = None
        if self.keeps:
            recordings, parts = self.budget.recordings, self.streams.parts
            if timeline in recordings or timeline in parts:
                self.keep_recording(timeline)
            if gone is not None and (gone in recordings or gone in parts):
                self.age(gone)

    def keep_recording(self, timeline: Timeline) -> None:
        """Of one that is over and was recorded: keep its heads, too."""
        recording = self.budget.recordings.get(timeline)
        if timeline in self.streams.parts:  # its pieces are those of the stream
            recording = self.budget.record(timeline)
            recording.stays = True
        if recording is not None:
            recording.ended = True
            if size_of(timeline.heads) <= MOST_HEADS:
                recording.keep_heads(timeline.heads, weight_of(timeline.heads))

    def age(self, timeline: Timeline) -> None:
        """One is none of the recent ones any more: keep it only if it is recorded."""
        recording = self.budget.recordings.get(timeline)
        if recording is None or not recording.stays:
            self.forget(timeline)
            return
        self.recorded.append(timeline)
        if len(self.recorded) > MOST_RECORDED:
            self.forget(self.recorded.popleft())

    def forget(self, timeline: Timeline) -> None:
        """Nothing that passed is known of it any more."""
        self.budget.forget(timeline)
        self.streams.parts.pop(timeline, None)
        self.keeps = bool(self.budget.recordings or self.streams.parts)

    def newest_first(self) -> Iterator[Timeline]:
        """All that have ended and can be shown."""
        return chain(reversed(self.recent), reversed(self.recorded))

    # -- what is

    def number(self, timeline: Timeline) -> int:
        """The number of an exchange: given when it is first shown."""
        if not timeline.number:
            with self.numbering:
                if not timeline.number:
                    self.count += 1
                    timeline.number = self.count
        return timeline.number

    def find(self, number: int) -> Found | None:
        """An exchange by its number."""
        return self.newest(lambda timeline: timeline.number == number)

    def of_request(self, id: bytes) -> Found | None:
        """The newest exchange that has a request id."""
        found = self.newest(lambda timeline: timeline.request_id == id)
        if found is not None:
            self.number(found[0])
        return found

    def newest(self, is_meant: Callable[[Timeline], bool]) -> Found | None:
        """The newest exchange that is meant."""
        for exchange in reversed(tuple(self.exchanges)):
            if is_meant(exchange.timeline):
                return exchange.timeline, next(counted((exchange,)))
        for timeline in self.newest_first():
            if is_meant(timeline):
                return timeline, None
        return None

    def row(
        self, timeline: Timeline, phase: Phase, worker: int, now: float, epoch: float
    ) -> Row:
        """What is shown of an exchange, with the advice on its failure."""
        self.number(timeline)
        return row(
            *(timeline, phase, worker, now, epoch),
            advice=self.advice(timeline),
            recorded=self.is_recorded(timeline),
        )

    def is_recorded(self, timeline: Timeline) -> bool:
        """Is anything kept of what passed?"""
        recording = self.budget.recordings.get(timeline)
        if recording is not None and (recording.count or recording.ended):
            return True
        return timeline in self.streams.parts

    def advice(self, timeline: Timeline) -> str:
        """What to do about its failure: the same as in the error page."""
        error, rule = timeline.error, self.error_detail
        if error is None or not has_failed(timeline):
            return ""
        hint = "" if rule is None else rule.hint(error, timeline.target, detailed=True)
        return hint or advice_on(error)

    # -- who looks

    def subscribe(self) -> None:
        """Somebody looks: from now on new exchanges are captured."""
        self.lookers += 1
        self.capturing = self.record != "off"

    def unsubscribe(self) -> None:
        """Somebody looks no longer."""
        self.lookers -= 1
        if not self.lookers:
            self.until = self.ticker.clock() + LINGER_SECONDS
            self.ticker.add(self)

    def check(self, now: float) -> None:
        """Called by the clock while nobody looks: is it time to end all captures?"""
        if self.lookers:
            self.ticker.discard(self)
        elif now >= self.until:
            self.let_go()

    def crashed(self, place: str, error: Exception) -> None:
        """Some captures go on until somebody has looked again."""
        report(place, error)

    def let_go(self) -> None:
        """End what is captured for those who look, and forget what it recorded."""
        if self.record != "streams":
            self.forget_all()
            return
        self.ticker.discard(self)
        self.capturing = False
        recordings = self.budget.recordings
        for exchange in self.exchanges:
            known = recordings.get(exchange.timeline)
            if known is None or not known.stays:
                exchange.stop_capture()
        for timeline, recording in tuple(recordings.items()):
            if not recording.stays:
                self.budget.forget(timeline)

    def forget_all(self) -> None:
        """End all captures and forget what they recorded."""
        self.ticker.discard(self)
        self.capturing = False
        for exchange in self.exchanges:
            exchange.stop_capture()
        self.recorded.clear()
        self.streams.clear()
        self.budget.clear()
        self.keeps = False

    def close(self) -> None:
        """The server is stopping."""
        self.ticker.discard(self)
        self.capturing = False
        self.streams.clear()
        self.budget.clear()

    # -- what is recorded

    def begun(self, exchange: Exchange) -> None:
        """An exchange begins while somebody looks."""
        if len(self.budget.recordings) < MOST_OPEN + MOST_RECENT:
            self.capture(exchange).whole = True

    def stream_begun(self, exchange: Exchange) -> None:
        """The response of an exchange is a stream, of which nothing has come yet."""
        budget, sink = self.budget, exchange.client
        if self.record != "streams" or not budget.has_room():
            return
        self.keeps = True
        if isinstance(sink, LogSink):
            stream = self.streams.begin(exchange.timeline)
            stream.capture = KeptCapture(stream, self.ticker.clock, sink)
            exchange.begin_capture(stream.capture)
        elif exchange.owns_client:
            recording = budget.record(exchange.timeline)
            recording.stays = True
            if exchange.capture is None:
                recording.whole = True
                exchange.start_capture(recording)

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """An exchange gets a kept stream; `account`: of the call for that."""
        if self.record == "streams" and exchange.owns_client:
            self.keeps = True
            self.streams.join(exchange.timeline, account)
            self.streams.passes(exchange)

    def failed(self, timeline: Timeline, written: bytes) -> None:
        """An exchange has failed; what the proxy itself has sent because of that."""
        if self.record != "streams" or not self.budget.has_room():
            return
        self.keeps = True
        self.streams.wrote(timeline, len(written))
        if timeline not in self.budget.recordings:
            self.budget.record(timeline).whole = not timeline.call.pieces
        recording = self.budget.record(timeline)
        recording.stays = True
        if written:
            ended = timeline.ended
            recording.own(self.ticker.clock() if ended is None else ended, written)

    def recording(self, timeline: Timeline) -> CaptureBuffer | None:
        """What is recorded of an exchange, for one who looks; None: nothing is."""
        if timeline in self.streams.parts:
            recording = self.budget.record(timeline)
            self.streams.fill(recording)
            return recording
        return self.budget.recordings.get(timeline)

    def capture(self, exchange: Exchange) -> CaptureBuffer:
        """The recording of an exchange; from now on, if it runs already."""
        if self.record == "off":
            return CaptureBuffer(exchange.timeline, self.budget)
        next(counted((exchange,)))
        self.keeps = True
        recording = self.recording(exchange.timeline)
        if recording is None:
            recording = self.budget.record(exchange.timeline)
        if exchange.capture is not None and exchange.capture.record is not recording:
            exchange.stop_capture()  # a mere probe
        if exchange.capture is None and not exchange.is_over:
            exchange.start_capture(recording)
            self.streams.passes(exchange)
        return recording

    def look_back(self, timeline: Timeline) -> CaptureBuffer:
        """What is recorded of one that has ended, if anything is."""
        recording = self.recording(timeline)
        if recording is None:
            recording = CaptureBuffer(timeline, self.budget)
        recording.ended = True
        return recording
