"""One exchange: its fields, and its pieces as they pass.

To open the feed of an exchange captures it: from then on each piece is told, after
those that are recorded already.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode

import msgspec

from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.exchange_history import ExchangeHistory, counted
from proxy.inspector.kept_view import shown_stream, signature, stream_of
from proxy.inspector.own_response import EVENT_STREAM, OwnResponse, event
from proxy.inspector.shown_heads import shown_heads
from proxy.kept.registry import KeptStreams
from proxy.observe.capture_buffer import CaptureBuffer, Piece
from proxy.observe.list_row import Row
from proxy.observe.list_row import signature as row_signature
from proxy.timeline import Phase, Timeline, wall_clock

BATCH_SECONDS = 0.1  # at least, between two batches of pieces
BATCH_BYTES = 256 * 1024  # of pieces in one batch
MOST_UNREAD = 128 * 1024  # of pieces that wait for the next one
COMMENT_SECONDS = 15.0


def view(
    history: ExchangeHistory,
    registry: KeptStreams[KeptStream],
    worker: int,
    timeline: Timeline,
    exchange: Exchange | None,
) -> Row:
    """All that is known of an exchange but its pieces."""
    recording = history.recording(timeline)
    told: Row = {**present_row(history, worker, timeline, exchange, recording)}
    told["record"] = history.record
    told |= shown_heads(timeline, exchange, recording and recording.heads)
    kept = stream_of(registry, timeline)
    if kept is not None:
        now = history.ticker.clock()
        epoch = wall_clock() - now
        told["kept"] = shown_stream(kept, history, worker, now, epoch)
    return told


def present_row(
    history: ExchangeHistory,
    worker: int,
    timeline: Timeline,
    exchange: Exchange | None,
    recording: CaptureBuffer | None,
) -> Row:
    now = history.ticker.clock()
    phase = Phase.OVER if exchange is None else exchange.phase
    told = history.row(timeline, phase, worker, now, wall_clock() - now)
    seen = recording and recording.bursts
    bursts = seen and not seen.is_behind_us and seen.verdict()
    whole = recording is not None and recording.whole
    return {**told, "bursts": bursts or None, "whole": whole}


class PieceFeed:
    """One client that looks at one exchange."""

    def __init__(
        self,
        history: ExchangeHistory,
        worker: int,
        answer: OwnResponse,
        timeline: Timeline,
        exchange: Exchange | None,
        kept: KeptStream | None,
        *,
        bodies: bool,
    ) -> None:
        self.history = history
        self.worker = worker
        self.answer = answer
        self.timeline = timeline
        self.exchange = exchange
        self.kept = kept  # the stream that it has a part of
        self.kept_told: tuple[object, ...] = ()
        self.bodies = bodies
        self.clock = history.ticker.clock
        if exchange is not None:
            self.recording = history.capture(exchange)
        else:
            self.recording = history.look_back(timeline)
        self.count = 0  # pieces that were told, or were gone before that
        self.passed = 0  # their bytes
        self.unread = 0  # weight of those that were not told
        self.heard_of = self.recording.count  # pieces, the last time one passed
        self.dropped = [0, 0]
        self.told: tuple[object, ...] = ()
        self.numbers: dict[str, int] = {}  # of the pieces of each side
        # Told before they were out: number, how many were before it, the piece.
        self.late: list[tuple[int, int, Piece]] = []
        self.flushed = float("-inf")
        self.heard = self.clock()
        self.soon = False

    def start(self) -> None:
        """Send what is recorded; the rest follows as it passes."""
        answer = self.answer
        answer.on_end = self.stop
        answer.stream(EVENT_STREAM)
        if answer.over:
            return
        self.history.subscribe()
        self.recording.listen(self.stirred)
        self.history.ticker.add(self)
        self.flush()

    def stop(self) -> None:
        """The client is gone, or the exchange has been told in full."""
        self.history.ticker.discard(self)
        self.recording.hear_no_more(self.stirred)
        if self.answer.streams:
            self.history.unsubscribe()

    def stirred(self) -> None:
        """A piece has passed, or gone out: tell it in a turn of its own, if one is due.

        Or if there is much to tell: what has no room any more is told to nobody.
        """
        if self.recording.count > self.heard_of:
            self.heard_of = self.recording.count
            self.unread += self.recording.last_size
        early = self.clock() - self.flushed < BATCH_SECONDS
        if self.soon or (early and self.unread < MOST_UNREAD):
            return
        self.soon = True
        asyncio.get_running_loop().call_soon(self.flush_soon)

    def flush_soon(self) -> None:
        """Called by the loop."""
        try:
            self.flush()
        except Exception as error:
            self.crashed("the feed of an exchange", error)

    def crashed(self, place: str, error: Exception) -> None:
        """It could not be told: its client has to ask anew."""
        self.answer.crashed(place, error)

    def check(self, now: float) -> None:
        """Called by the clock: what came too soon after the last batch, and the row."""
        self.flush()
        if now - self.heard >= COMMENT_SECONDS and not self.answer.blocked:
            self.heard = now
            self.answer.write(b": all is well\n\n")

    def flush(self) -> None:
        """Send what is new, as far as the client reads."""
        self.soon = False
        while not self.answer.blocked:
            self.flushed = self.clock()
            self.skip_gone()
            if self.exchange is not None:
                next(counted((self.exchange,)))
            batch = self.take()
            if batch:
                self.send(b"pieces", batch)
            self.send_late()
            is_now = row_signature(self.timeline, self.phase)
            if is_now != self.told:
                self.told = is_now
                self.send(b"row", self.row())
            self.send_kept()
            if self.timeline.ended is None:
                return
            if self.count == self.recording.count:
                self.send(b"end", self.row())
                self.answer.end()
                return

    def send_kept(self) -> None:
        """Tell of the kept stream, if that has changed."""
        kept = self.kept
        if kept is None:
            return
        is_now = signature(kept)
        if is_now != self.kept_told:
            self.kept_told = is_now
            now = self.clock()
            epoch = wall_clock() - now
            told = shown_stream(kept, self.history, self.worker, now, epoch)
            self.send(b"kept", told)

    @property
    def phase(self) -> Phase:
        if self.exchange is None or self.timeline.ended is not None:
            return Phase.OVER
        return self.exchange.phase

    def row(self) -> Row:
        return present_row(
            self.history, self.worker, self.timeline, self.exchange, self.recording
        )

    def skip_gone(self) -> None:
        """Tell of pieces that are recorded no more, and were not told."""
        recording = self.recording
        missed = recording.first - self.count
        if missed > 0:
            self.dropped[0] += missed
            self.dropped[1] += recording.dropped_bytes - self.passed
            self.count = recording.first
            self.numbers = dict(recording.gone or {})
            self.passed = recording.dropped_bytes
            pieces, size = self.dropped
            self.send(b"dropped", {"pieces": pieces, "bytes": size})

    def take(self) -> list[dict[str, object]]:
        """The next pieces, no more than fit into a batch."""
        self.unread = 0
        batch = []
        size = 0
        for piece in self.recording.since(self.count):
            n = self.numbers[piece.side] = self.numbers.get(piece.side, 0) + 1
            batch.append(self.shown(n, piece))
            self.passed += piece.size
            if piece.sent is None:
                self.late.append((n, self.count, piece))
            self.count += 1
            size += piece.size
            if size >= BATCH_BYTES:
                break
        return batch

    def send_late(self) -> None:
        """Tell when pieces went out that had to wait for a slow peer."""
        out, left = [], []
        for n, before, piece in self.late:
            sent = self.recording.is_sent(before)
            if sent is not None:
                out.append(self.shown(n, piece._replace(sent=sent), data=False))
            elif before >= self.recording.first:
                left.append((n, before, piece))
        self.late = left
        if out:
            self.send(b"pieces", out)

    def shown(self, n: int, piece: Piece, *, data: bool = True) -> dict[str, object]:
        started = self.timeline.started
        told: dict[str, object] = {
            "n": n,
            "side": piece.side,
            "arrived": round(piece.arrived - started, 6),
            "sent": None if piece.sent is None else round(piece.sent - started, 6),
            "bytes": piece.size,
        }
        if piece.own:
            told["own"] = True
        if data and self.bodies and self.recording.budget.contents:
            told["base64"] = b64encode(piece.data).decode("ascii")
        return told

    def send(self, name: bytes, content: object) -> None:
        self.heard = self.clock()
        self.answer.write(event(name, msgspec.json.encode(content)))
