"""One record, played to one client: what the upstream sent, when it sent it.

Times are absolute, counted from the request: a piece that was late does not make the
next one late. What was an answer stays one: what was recorded after the request was
complete comes no sooner after it is complete now, and what followed the Close of a
WebSocket, or the FIN of the client of a tunnel, waits for it.

Items of the same time came in one read: a head goes out together with the piece that
came with it. Two pieces are always two writes, in two turns of the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.origin.loop_timer import Timer, TimerHandle
from proxy.origin.origin_connection import OriginConnection
from proxy.origin.play_plan import (
    CLOSE,
    FIN,
    MESSAGE,
    REQUEST,
    Gate,
    Move,
    PlayPlan,
    interim_bytes,
)
from proxy.origin.websocket_frames import FrameScanner, close_frame
from proxy.record.format import RecordedEnd, RecordedHead, RecordedPiece

MICROSECONDS = 1_000_000
CLOSE_TOGETHER = 0.002  # seconds; below it a timer would make one read of two


class Playback:
    """Plays a record; told by its connection what the client does."""

    def __init__(
        self,
        connection: OriginConnection,
        plan: PlayPlan,
        timer: Timer,
        speed: float | None,
        began: float,
        given: Sequence[int] = (),
    ) -> None:
        self.connection = connection
        self.plan = plan
        self.timer = timer
        self.speed = speed  # None: nothing is waited for
        self.base = began  # the time from which the record's times are counted
        self.given = list(given)  # interim responses that are sent: their status
        self.position = 0
        self.handle: TimerHandle | None = None
        self.hurried = 0  # moves up to this one do not wait for their time
        self.happened: dict[str, float] = {}  # what the client did, and when
        self.client = FrameScanner()
        self.over = False

    # -- what the client does

    def request_complete(self) -> None:
        self.happened[REQUEST] = self.timer.time()
        self.schedule()

    def client_piece(self, data: bytes) -> None:
        """Bytes of the client in a tunnel."""
        if not self.plan.websocket or self.client.closed:
            return
        closed = self.client.feed(data)
        self.happened[MESSAGE] = self.timer.time()
        if closed:
            self.client_closes()
        self.schedule()

    def client_closes(self) -> None:
        """The client of a WebSocket closes it: go on to what was answered to that.

        If nothing was, answer as RFC 6455 §5.5.1 wants it: with the same status.
        """
        self.happened[CLOSE] = self.timer.time()
        plan, position = self.plan, self.position
        gate = plan.find(CLOSE, position)
        if gate is None and not plan.between[position]:
            gate = len(plan.moves)  # a frame has begun
        if gate is None:
            self.stop()
            self.connection.send_piece(close_frame(self.client.status[:2]))
            self.connection.fin()
        elif not self.over:
            self.cancel()
            if gate < len(plan.moves) and plan.between[position] and plan.between[gate]:
                self.position = gate  # nobody hears the rest any more
            else:
                self.hurried = gate

    def half_closed(self) -> None:
        """The client has ended its side of a tunnel."""
        self.happened[FIN] = self.timer.time()
        if self.over:
            self.connection.fin()
        self.schedule()

    def stop(self) -> None:
        """Play no more."""
        self.over = True
        self.cancel()

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None

    # -- times

    def schedule(self) -> None:
        """Have the next move made when it is due, unless it waits for the client."""
        while not self.over and self.handle is None:
            move = self.plan.moves[self.position]
            if not isinstance(move, Gate):
                self.handle = self.timer.call_at(
                    self.due(move.at), self.play, exact=self.is_close(move.at)
                )
            elif self.is_open(move):
                self.position += 1
            else:
                return

    def is_open(self, gate: Gate) -> bool:
        """Has the client done what the rest waits for? Then it counts from there."""
        since = self.happened.get(gate.kind)
        if since is None or self.client.messages < gate.messages:
            since = self.happened.get(FIN)  # behind it nothing more is to come
        if since is None:
            return False
        if self.speed is not None:
            base = since - gate.at / MICROSECONDS / self.speed
            # Who closes sooner is answered sooner.
            self.base = base if gate.kind == CLOSE else max(self.base, base)
        return True

    def due(self, at: int) -> float:
        """When something is due that was recorded at that time."""
        if self.speed is None or self.position < self.hurried:
            return self.timer.time()
        return self.base + at / MICROSECONDS / self.speed

    def is_close(self, at: int) -> bool:
        """Is there another move shortly before it, or shortly after it?"""
        if self.speed is None:
            return False
        moves, position = self.plan.moves, self.position
        near = CLOSE_TOGETHER * MICROSECONDS * self.speed
        return (position > 0 and at - moves[position - 1].at < near) or (
            position + 1 < len(moves) and moves[position + 1].at - at < near
        )

    # -- moves

    def play(self) -> None:
        """Make the next move, and those that came with it."""
        self.handle = None
        if self.over or self.connection.blocked:
            return  # until the client has read on
        with self.connection.one_write():
            move = self.make_move()
            while not self.over and self.goes_with(move):
                move = self.make_move()
        self.schedule()

    def make_move(self) -> Move:
        """Send what is next."""
        move = self.plan.moves[self.position]
        self.position += 1
        match move:
            case RecordedHead() if move.is_final:
                self.send_head(move)
            case RecordedHead():
                self.send_interim(move)
            case RecordedPiece():
                self.send_piece(move)
            case RecordedEnd():
                self.end(move)
        return move

    def goes_with(self, before: Move) -> bool:
        """Did the next one come in the same read?"""
        move = self.plan.moves[self.position]
        return move.at == before.at and not (
            isinstance(move, Gate)
            or (isinstance(move, RecordedPiece) and isinstance(before, RecordedPiece))
        )

    def send_interim(self, head: RecordedHead) -> None:
        """An interim head, unless it was sent before this record was chosen."""
        if head.status in self.given:
            self.given.remove(head.status)
        else:
            self.connection.send_interim(interim_bytes(head))

    def send_head(self, head: RecordedHead) -> None:
        """The final head; of a HEAD that is all."""
        connection = self.connection
        line, fields = self.plan.final(head, connection.accept_fields)
        if head.framing == "unread":
            connection.send_raw_head(line, fields)
        else:
            connection.send_head(line, fields)
        if connection.framing == "none" and self.plan.has_body:
            self.over = True
            connection.finish([])

    def send_piece(self, piece: RecordedPiece) -> None:
        self.connection.send_piece(piece.data)

    def end(self, end: RecordedEnd) -> None:
        """As the upstream ended."""
        self.over = True
        if end.end == "complete":
            self.connection.finish(self.plan.trailers)
        elif end.end == "fin" or (
            end.end == "malformed" and self.connection.framing != "close"
        ):
            self.connection.fin()
        elif end.end != "open":
            self.connection.reset()
        elif FIN in self.happened:  # nobody would end it any more
            self.connection.fin()
