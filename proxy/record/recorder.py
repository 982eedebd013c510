"""Records exchanges of routes: one file for each call to an upstream.

Notes what the taps hear (`exchange.record_tap`) in lines of the format, and masks
credentials in heads. A piece is noted by one append; its line is made once the loop has
sent on what there was.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, cast

from proxy import __version__
from proxy.errors import ProxyError, in_words
from proxy.exchange.tapped_call import TappedCall
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.observe.redaction import masked_target
from proxy.policy.request_plan import RequestPlan
from proxy.record.format import (
    ExchangeRecord,
    Framing,
    RecordedEnd,
    RecordedPiece,
    RecordedRequest,
    RequestComplete,
    UpstreamEnd,
    encode_first,
    encode_item,
    encode_piece,
)
from proxy.record.record_of import (
    record_name,
    recorded_fields,
    recorded_head,
    recorded_request,
    sent_request,
    time_of_day,
)
from proxy.record.record_writer import RecordFile, RecordWriter
from proxy.timeline import Ending, wall_clock

WallClock = Callable[[], float]
Note: TypeAlias = RecordedPiece | RequestComplete | Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be recorded: where to, and which routes; none: all of them."""

    directory: Path
    prefixes: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What is recorded where, for whoever has started it."""
        of = f" of {', '.join(self.prefixes)}" if self.prefixes else ""
        return (
            f"Recording every exchange{of} in {self.directory}: bodies are written as "
            "they are."
        )

    def recorder(self) -> Recorder:
        """What does it, in this process."""
        return Recorder(RecordWriter(self.directory), self.prefixes)


class Recorder:
    """Gives each call a tape. `prefixes`: the routes to record; empty: all of them."""

    def __init__(
        self,
        writer: RecordWriter,
        prefixes: tuple[str, ...] = (),
        wall: WallClock = wall_clock,
    ) -> None:
        self.writer = writer
        self.prefixes = prefixes
        self.wall = wall
        self.numbers = itertools.count(1)
        self.noted: dict[ExchangeTape, None] = {}  # with lines that are yet to be made

    def takes(self, prefix: str) -> bool:
        """Are exchanges of that route recorded?"""
        return not self.prefixes or prefix in self.prefixes

    def tape(self, call: TappedCall) -> ExchangeTape:
        """One for a call."""
        return ExchangeTape(self, call)

    def noted_on(self, tape: ExchangeTape) -> None:
        """Something was: make its lines soon, but not now."""
        if not self.noted:
            asyncio.get_running_loop().call_soon(self.flush)
        self.noted[tape] = None

    def flush(self) -> None:
        """Make the lines of all that was noted. Called by the loop."""
        tapes, self.noted = self.noted, {}
        for tape in tapes:
            try:
                tape.flush()
            except Exception as fault:
                report("recording an exchange", fault)

    def file_for(self, began: float, head: RequestHead) -> RecordFile:
        """A file for one call, named by when and what was asked."""
        name = record_name(began, head, str(next(self.numbers)))
        return RecordFile(self.writer.directory / name)

    def finish(self, seconds: float) -> None:
        """Have everything written, if that takes no longer."""
        self.flush()
        self.writer.finish(seconds)


class ExchangeTape:
    """What is noted of one call."""

    __slots__ = (
        "asked_head",
        "began",
        "call",
        "ended",
        "file",
        "notes",
        "recorder",
        "started",
    )

    def __init__(self, recorder: Recorder, call: TappedCall) -> None:
        self.recorder = recorder
        self.call: TappedCall | None = call  # until it is known how it was sent
        self.asked_head = call.head
        self.started = call.forward.exchange.timeline.started
        self.began = 0.0  # on the wall
        self.file: RecordFile | None = None  # once a line was made
        # Most of what is noted is made into lines later: see `flush`.
        self.notes: list[Note] = []
        self.ended = False

    def at(self, now: float) -> int:
        """A time as records have it."""
        return max(round((now - self.started) * 1_000_000), 0)

    def note(self, what: Note) -> None:
        """Take something in."""
        self.notes.append(what)
        self.recorder.noted_on(self)

    # -- as `Tape`

    def asked(self, now: float, plan: RequestPlan) -> None:
        if self.call is not None:  # else it is sent once more, to another connection
            self.begin(now, plan)

    def head(self, now: float, head: ResponseHead, framing: str) -> None:
        how = cast("Framing", framing)
        at = self.at(now)
        self.note(lambda: encode_item(recorded_head(at, head, how)))

    def piece(
        self, now: float, side: Literal["client", "upstream"], data: bytes
    ) -> None:
        if data:
            self.note(RecordedPiece(self.at(now), side, bytes(data)))

    def request_complete(self, now: float) -> None:
        self.note(RequestComplete(self.at(now)))

    def end(
        self,
        now: float,
        end: str,
        trailers: Fields,
        ending: Ending,
        error: ProxyError | None,
    ) -> None:
        if self.call is not None:
            self.begin(now, None)
        said = "" if error is None else in_one_line(error)
        fields, how = recorded_fields(trailers), cast("UpstreamEnd", end)
        last = RecordedEnd(self.at(now), how, fields, ending.value, said)
        self.ended = True
        self.note(partial(encode_item, last))

    # -- into lines

    def begin(self, now: float, plan: RequestPlan | None) -> None:
        """Note the first line. `plan`: how the request goes out, if it does."""
        call, self.call = self.call, None
        assert call is not None
        self.began = self.recorder.wall() - (now - self.started)
        target = call.forward.exchange.timeline.call.upstream or ""
        scheme = "http" if call.upstream is None else call.upstream.target.scheme
        sent = None if plan is None else partial(sent_request, plan, scheme)
        asked = partial(recorded_request, call.head, call.client.scheme)
        self.note(
            partial(first_line, self.began, call.route.prefix, target, asked, sent)
        )

    def flush(self) -> None:
        """Make the lines of what was noted, and have them written."""
        notes, self.notes = self.notes, []
        file = self.file
        if file is None:
            self.file = file = self.recorder.file_for(self.began, self.asked_head)
        writer = self.recorder.writer
        if file.dropped:
            writer.skip(file, len(notes))
        else:
            writer.put(file, [line_of(each) for each in notes])
        if self.ended:
            writer.close(file)


def first_line(
    began: float,
    route: str,
    target: str,
    asked: Callable[[], RecordedRequest],
    sent: Callable[[], RecordedRequest] | None,
) -> bytes:
    """The first line of a record."""
    return encode_first(
        ExchangeRecord(
            time_of_day(began),
            f"unbuffered {__version__}",
            route,
            masked_target(target),
            asked(),
            [],
            sent=None if sent is None else sent(),
        )
    )


def line_of(note: Note) -> bytes:
    """The line of what was noted."""
    if isinstance(note, RecordedPiece):
        return encode_piece(note.at, note.side, note.data)
    if isinstance(note, RequestComplete):
        return encode_item(note)
    return note()


def in_one_line(error: ProxyError) -> str:
    """What went wrong; an error without words does not stop a record."""
    try:
        return str(error)
    except Exception as fault:
        return in_words(fault)
