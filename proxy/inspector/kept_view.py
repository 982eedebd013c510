"""Kept streams as the inspector shows them: what they are, and who has had them.

No byte of them, and of their IDs no more than tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TypeAlias

from proxy.exchange.kept_stream import NO_HEAD, KeptStream
from proxy.exchange.visits import MOST_VISITS
from proxy.inspector.exchange_history import ExchangeHistory
from proxy.kept.registry import KeptStreams
from proxy.observe.list_row import Row, identity, kind, text
from proxy.observe.redaction import masked_target
from proxy.policy.stream_identity import shown_id
from proxy.timeline import Timeline, Visit, wall_clock

Parts: TypeAlias = dict[Visit, Timeline]

MOST_SHOWN = 200  # of one worker, the newest


def signature(stream: KeptStream) -> tuple[object, ...]:
    """Changes whenever what is shown does, but for what only time changes."""
    return (
        stream.state,
        stream.bytes_in_all,
        stream.log.first if stream.has_log else None,
        len(stream.audience.subscribers),
        stream.readers,
        stream.is_followed,
        stream.visits.count,
        stream.visits.left,
    )


def shown_stream(
    stream: KeptStream,
    history: ExchangeHistory,
    worker: int,
    now: float,
    epoch: float,
    ended: Parts | None = None,
) -> Row:
    """All that is told of one stream. Times are seconds since it was asked for.

    `ended`: exchanges that have ended and had a part of one, if that is known.
    """
    if ended is None:
        ended = by_visit(history.newest_first())
    started = stream.upstream.first.timeline.started
    upstream, log = stream.upstream.exchange, stream.log if stream.has_log else None
    over = None if upstream is None else upstream.timeline.ended
    head = stream.upstream.first.head
    error = stream.error
    return {
        "id": shown_id(stream.id),
        "worker": worker,
        "route": stream.route.prefix,
        "method": text(head.method),
        "target": masked_target(text(head.target)),
        "kind": kind_of(stream),
        "state": stream.state,
        "error": None if error is None else str(error),
        "family": stream.account.family,
        "kept": stream.resumes,
        "shared": stream.shares,
        "followed": stream.is_followed,
        "started": round(started + epoch, 3),
        "age": round((over or now) - started, 6),
        "ended": rounded(over, started),
        "goes": goes(stream, now),
        "bytes": stream.bytes_in_all,
        "first": 0 if log is None else log.first,
        "clients": len(stream.audience.subscribers),
        "readers": stream.readers,
        "visits": stream.visits.count,
        "connections": connections(stream, history, ended, worker, started),
    }


def kind_of(stream: KeptStream) -> str:
    """Of its content type."""
    timeline = Timeline(0.0, b"")
    timeline.call = stream.account
    return kind(timeline)


def goes(stream: KeptStream, now: float) -> float | None:
    """In how many seconds it is let go, if nobody comes; None: that is not counted."""
    timer = stream.retention.timer
    if timer.callback is None or (stream.audience.subscribers and not stream.settled):
        return None
    return round(max(0.0, timer.began + timer.seconds - now), 3)


def connections(
    stream: KeptStream,
    history: ExchangeHistory,
    ended: Parts,
    worker: int,
    started: float,
) -> list[Row]:
    """The last ones that it has had, the oldest first. `ended`: that can be shown."""
    newest = islice(reversed(stream.audience.subscribers), 2 * MOST_VISITS)
    exchanges = [each.exchange for each in newest]
    running = by_visit(each.timeline for each in exchanges)
    # The client of another worker, which has handed it over, has its place there.
    own = by_visit(each.timeline for each in exchanges if each in history.exchanges)
    found: list[Row] = []
    for visit in stream.visits.last:
        timeline = own.get(visit) or ended.get(visit)
        if timeline is not None:
            history.number(timeline)
        live = running.get(visit)
        found.append(
            {
                "exchange": None if timeline is None else identity(worker, timeline),
                "client": text(visit.client),
                "way": visit.way,
                "from": visit.begins,
                "began": round(visit.began - started, 6),
                "ended": rounded(visit.ended, started),
                "bytes": visit.bytes_sent if live is None else live.bytes_sent,
                "ending": None if visit.ended is None else visit.ending.value,
            }
        )
    return found


def rounded(time: float | None, started: float) -> float | None:
    return None if time is None else round(time - started, 6)


def by_visit(timelines: Iterable[Timeline]) -> Parts:
    """Those that had a part of a stream."""
    return {each.visit: each for each in timelines if each.visit is not None}


def stream_of(
    registry: KeptStreams[KeptStream], timeline: Timeline
) -> KeptStream | None:
    """The stream that an exchange has a part of, if it is still kept."""
    visit = timeline.visit
    if visit is not None:
        for stream in registry.streams.values():
            if visit in stream.visits.last or shown_id(stream.id) == visit.stream:
                return stream
    return None


def stream_by_id(
    registry: KeptStreams[KeptStream],
    history: ExchangeHistory,
    worker: int,
    shown: str,
    now: float,
) -> Row | None:
    """A stream by what is shown of its ID; None: it is not kept here."""
    for stream in registry.streams.values():
        if shown_id(stream.id) == shown and stream.state != NO_HEAD:
            return shown_stream(stream, history, worker, now, wall_clock() - now)
    return None


class KeptFeed:
    """What one who looks knows of the kept streams of this worker."""

    def __init__(
        self, registry: KeptStreams[KeptStream], history: ExchangeHistory, worker: int
    ) -> None:
        self.registry = registry
        self.history = history
        self.worker = worker
        self.known: dict[KeptStream, tuple[object, ...]] = {}
        self.more = 0

    def changes(self, now: float, epoch: float) -> Row | None:
        """What has changed since the last time; None: nothing."""
        streams = self.registry.streams
        if not streams and not self.known:
            return None
        shown, told = {}, []
        ended: Parts | None = None
        for stream in islice(reversed(streams.values()), MOST_SHOWN):
            if stream.state == NO_HEAD:
                continue
            shown[stream] = is_now = signature(stream)
            if is_now != self.known.get(stream):
                if ended is None:
                    ended = by_visit(self.history.newest_first())
                worker, history = self.worker, self.history
                told.append(shown_stream(stream, history, worker, now, epoch, ended))
        gone = [shown_id(each.id) for each in self.known if each not in shown]
        more = len(streams) - len(shown)
        if not told and not gone and more == self.more:
            return None
        self.known, self.more = shown, more
        return {"worker": self.worker, "streams": told, "gone": gone, "more": more}
