"""An upstream that answers as a record has it: pieces, times, framing, end.

    async with ReplayOrigin([read_record(data, "events.jsonl")]) as origin:
        ...                     # whoever asks origin.url gets the recorded stream

A request is answered by the record of the same request; any other one by 404 with what
is near. As often as asked, by several clients at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.config.fault_options import Fault, check_faults, in_words
from proxy.http1.head import RequestHead
from proxy.origin.fault_effect import has_effect
from proxy.origin.faulty_playback import FaultyPlayback
from proxy.origin.loop_timer import LoopTimer, Timer, TimerHandle
from proxy.origin.origin_connection import Answerer, OriginConnection
from proxy.origin.origin_listener import OriginListener
from proxy.origin.play_plan import PlayPlan, interim_bytes
from proxy.origin.playback import MICROSECONDS, Playback
from proxy.origin.record_match import (
    CONTINUE,
    Playable,
    RecordIndex,
    comparable,
    difference,
    in_common,
)
from proxy.origin.script_values import is_number
from proxy.policy.fault_engine import FaultSource
from proxy.quantities import counted
from proxy.record.format import (
    ExchangeRecord,
    RecordedHead,
    RecordFault,
    value_of,
)

MOST_REQUESTS = 1000  # that are kept; an origin may run for days
# Bytes that are kept of a body, behind where it ceases to be like any recorded one.
MOST_UNKNOWN = 1024 * 1024
LeaveOut = Callable[[str, str], None]
NOT_FOUND = b"HTTP/1.1 404 Not Found"


@dataclass(slots=True)
class AskedRequest:
    """A request that came; `record` is what answers it, None if nothing does."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    received: bytes | bytearray = field(default_factory=bytearray, repr=False)
    size: int = 0  # bytes that have come of the body
    complete: bool = False
    record: ExchangeRecord | None = field(default=None, repr=False)

    def field(self, name: str) -> str | None:
        """The value of a field; the values of several are joined by commas."""
        return value_of(self.fields, name)

    @property
    def body(self) -> bytes:
        """What is there of the body; of one that no record has only how it begins."""
        return bytes(self.received)

    @property
    def json(self) -> object:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.received) if self.received else None
        except (ValueError, RecursionError):
            return None


class ReplayOrigin(OriginListener):
    """Plays records. `speed`: 2 is twice as fast; None waits for nothing.

    `any_body` answers a request whatever its body is. With `in_step` a piece of a
    WebSocket waits, too, for the messages of the client that were recorded before it.
    `names` are for what is said of the records. `timer` is the clock of a test. `tell`
    gets a line for each request; `requests` has the last ones if they are kept.

    `faults` are what the upstream does wrong, chosen for each request by `seed`.

    `leave_out` is told the name of a record that cannot be played, and why; the others
    are played. It may raise.

    Raises:
        RecordFault: a record cannot be played; with `leave_out`: none can.
        ValueError: `speed` is not greater than 0, or `faults` are wrong or change
            nothing of any record.
    """

    def __init__(
        self,
        records: Sequence[ExchangeRecord],
        *,
        speed: float | None = 1.0,
        any_body: bool = False,
        in_step: bool = False,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        names: Sequence[str] = (),
        timer: Timer | None = None,
        tell: Callable[[str], None] | None = None,
        keep_requests: bool = True,
        leave_out: LeaveOut | None = None,
    ) -> None:
        super().__init__()
        is_speed = is_number(speed) and speed is not None and 0 < speed < math.inf
        if speed is not None and not is_speed:
            raise ValueError(f"speed: expected a number greater than 0, got {speed!r}")
        check_faults(faults)
        self.speed = speed
        self.faults = FaultSource(faults, seed)
        self.in_step = in_step
        self.plans: list[PlayPlan] = []  # of each record that is played
        self.index = RecordIndex(any_body=any_body)
        names = names or [f"record {number}" for number in range(1, len(records) + 1)]
        if len(names) != len(records):
            raise ValueError(
                f"names: expected one for each of {counted(len(records), 'record')}, "
                f"got {len(names)}"
            )
        for record, name in zip(records, names, strict=True):
            try:
                self.add(record, name)
            except RecordFault as fault:
                if leave_out is None:
                    raise RecordFault(f"{name}: {fault}") from None
                leave_out(name, str(fault))
        if records and not self.plans:
            raise RecordFault("none of the records can be played")
        for chosen in faults:
            self.check_effect(chosen)
        self.given_timer = timer
        self.tell = tell
        self.most_requests = MOST_REQUESTS if keep_requests else 0
        self.requests: list[AskedRequest] = []  # the last ones

    def add(self, record: ExchangeRecord, name: str) -> Playable:
        """Have one more record to answer with.

        Raises:
            RecordFault: it cannot be played.
        """
        self.plans.append(PlayPlan(record, in_step=self.in_step))
        return self.index.add(record, name)

    def check_effect(self, fault: Fault) -> None:
        """Refuse a fault that nobody would notice, in whichever record."""
        if self.plans and not any(has_effect(fault, plan) for plan in self.plans):
            raise ValueError(
                f"fault: {in_words(fault)} changes nothing of any record: choose "
                "another place"
            )

    @property
    def timer(self) -> Timer:
        """What tells the time."""
        return self.given_timer or LoopTimer()

    def answerer(self, connection: OriginConnection, head: RequestHead) -> Answerer:
        asked = AskedRequest(
            head.method.decode("latin-1"),
            head.target.decode("latin-1"),
            [(name.decode("latin-1"), value.decode("latin-1"))
             for name, value in head.fields],
        )  # fmt: skip
        self.requests.append(asked)
        del self.requests[: max(len(self.requests) - self.most_requests, 0)]
        return ReplayAnswer(self, connection, asked)

    def say(self, asked: AskedRequest, answer: str) -> None:
        """Tell of a request, and of what is made of it."""
        if self.tell is not None:
            self.tell(f"{asked.method} {comparable(asked.target)}: {answer}")


class ReplayAnswer:
    """Finds the record of one request, and has it played."""

    def __init__(
        self, origin: ReplayOrigin, connection: OriginConnection, asked: AskedRequest
    ) -> None:
        self.origin = origin
        self.connection = connection
        self.asked = asked
        self.began = origin.timer.time()
        self.candidates: list[Playable] = []
        # Those that it can still be by its body, as far as that has come.
        self.possible: list[Playable] = []
        self.most = 0  # bytes to keep of the body
        authorized = asked.field("Authorization") is not None
        index = origin.index
        self.choose_among(index.candidates(asked.method, asked.target, authorized))
        self.chosen: Playable | None = None
        self.playback: Playback | None = None
        self.given: list[int] = []  # interim responses that are sent: their status
        self.interim: list[RecordedHead] = []  # that are still to be sent
        self.handles: dict[str, TimerHandle] = {}
        self.over = False

    def choose_among(self, candidates: list[Playable]) -> None:
        """It is one of these records that answers, if any does."""
        self.candidates = self.possible = candidates
        longest = max((len(each.body) for each in candidates), default=0)
        self.most = longest + MOST_UNKNOWN

    # -- called by the connection

    def begin(self) -> None:
        if not self.candidates:
            self.refuse()
        elif self.connection.body is not None:
            self.begin_upload()

    def begin_upload(self) -> None:
        """A body is to come, and says which record it is; an answer may be early."""
        likely = self.candidates
        if self.origin.index.any_body:
            likely = [self.play(likely)]
        else:
            self.interim = in_common(likely)
        asks = all(each.asks_for_body for each in likely)
        unseen = self.origin.index.next_of(likely).answers_unseen
        if not (asks or unseen) and self.connection.send_continue():
            self.given.append(CONTINUE)
            if self.playback is not None:
                self.playback.given.append(CONTINUE)
        self.send_interim()
        self.choose_early()

    def due(self, at: int) -> float:
        """When something is due that was recorded at that time."""
        speed = self.origin.speed
        return self.began + (at / MICROSECONDS / speed if speed is not None else 0)

    def call(self, what: Callable[[], None], when: float) -> None:
        """Have one of the two methods below called once more."""
        timer = self.origin.timer
        self.handles[what.__name__] = timer.call_at(when, what, exact=False)

    def is_waiting(self, what: Callable[[], None]) -> bool:
        """Is there still something to choose? The method that asks was called."""
        handle = self.handles.pop(what.__name__, None)
        if handle is not None:
            handle.cancel()
        return self.playback is None and not self.over

    def send_interim(self) -> None:
        """Send the interim responses that are due, whichever record it is."""
        if not self.is_waiting(self.send_interim):
            return
        while self.interim:
            head = self.interim[0]
            when = self.due(head.at)
            if when > self.origin.timer.time():
                self.call(self.send_interim, when)
                return
            del self.interim[0]
            if head.status not in self.given:
                self.given.append(head.status)
                self.connection.send_interim(interim_bytes(head))

    def choose_early(self) -> None:
        """Is it the turn of a record that answers before the request is complete?

        If there are others with another body, then only if it is its turn among them,
        and once there is as much of the body as the recorded upstream had seen.
        """
        if not self.is_waiting(self.choose_early):
            return
        if not self.possible:
            return
        certain = len({each.body for each in self.possible}) == 1
        turn = self.origin.index.next_of(self.possible)
        now, later = self.origin.timer.time(), []
        for each in self.possible:
            if each.early is None:
                continue
            when = self.due(each.early.at)
            if when > now:
                later.append(when)
            elif certain or (
                each.body == turn.body and self.asked.size >= each.early.behind
            ):
                self.play([one for one in self.possible if one.body == each.body])
                return
        if later:
            self.call(self.choose_early, min(later))

    def piece(self, data: bytes) -> None:
        if self.connection.framing == "tunnel":
            if self.playback is not None:
                self.playback.client_piece(data)
            return
        asked, before = self.asked, self.possible
        self.possible = [each for each in before if each.goes_on(asked.size, data)]
        asked.size += len(data)
        if not self.possible and (before or not self.candidates):
            self.most = min(self.most, asked.size + MOST_UNKNOWN)
        asked.received += data[: max(self.most - len(asked.received), 0)]
        if any(each.early for each in self.possible):
            self.choose_early()

    def complete(self) -> None:
        asked = self.asked
        asked.complete = True
        index, size = self.origin.index, asked.size
        found = [each for each in self.possible if each.ends(size)]
        if self.over:
            return
        if self.playback is None:
            if not found:
                self.refuse()
                return
            self.play(found)
        elif self.chosen not in found and not index.any_body:
            self.warn()
        assert self.playback is not None
        assert self.chosen is not None
        if asked.received == self.chosen.body:
            asked.received = self.chosen.body  # once in memory is enough
        self.playback.request_complete()

    def half_closed(self) -> None:
        if self.playback is not None:
            self.playback.half_closed()

    def ready(self) -> None:
        if self.playback is not None:
            self.playback.schedule()

    def client_left(self) -> None:
        self.over = True
        self.cancel()
        if self.playback is not None:
            self.playback.stop()

    # -- answers

    def cancel(self) -> None:
        """Nothing is to be chosen any more."""
        for handle in self.handles.values():
            handle.cancel()
        self.handles.clear()

    def play(self, found: Sequence[Playable]) -> Playable:
        """Play the one of these records whose turn it is."""
        origin = self.origin
        self.cancel()
        chosen = self.chosen = origin.index.take_turn(found)
        self.asked.record = chosen.record
        origin.say(self.asked, chosen.name)
        plan, timer, speed = origin.plans[chosen.position], origin.timer, origin.speed
        engine = origin.faults.next(self.asked.json)
        connection, began, given = self.connection, self.began, self.given
        if engine is None:
            self.playback = Playback(connection, plan, timer, speed, began, given)
        else:
            self.playback = FaultyPlayback(
                connection, plan, timer, speed, began, given, engine
            )
        self.playback.schedule()
        return chosen

    def warn(self) -> None:
        """An early answer has proved to be that to another request."""
        assert self.chosen is not None
        body = self.chosen.body
        self.origin.say(
            self.asked,
            f"{self.chosen.name} was played before the body was there, but the body "
            f"{difference(body, self.asked.body)}",
        )

    def refuse(self) -> None:
        """No record answers it: say which ones are near."""
        self.over = True
        self.cancel()
        asked, index = self.asked, self.origin.index
        text = index.refusal(asked.method, asked.target, asked.body, asked.size)
        page = text.encode()
        self.origin.say(asked, "404, no record answers it")
        self.connection.send_head(
            NOT_FOUND,
            [(b"Content-Type", b"text/plain; charset=utf-8"),
             (b"Content-Length", b"%d" % len(page))],
        )  # fmt: skip
        self.connection.send_piece(page)
        self.connection.finish([])
