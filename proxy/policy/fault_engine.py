"""What faults do to a response: an engine from pieces to steps.

Whoever plays the upstream takes the steps: the origin that replays a record, or the
tap on a live route. The engine knows no clock and no socket, and the same bytes give
the same steps however they are cut into pieces.

A response goes through its faults in this order:

    head        status, in place of all that follows; late_head; wrong_length, compress
    events      no_terminal, duplicate, error_event
    ends        stall, fin, reset, clean_end, at the place of an event
    form        compress, coalesce, split, drip: see `fault_form`

Events are counted as a client dispatches them, lines of NDJSON if they are not blank,
messages of a WebSocket, and pieces in any other body: a compressed one, another tunnel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from random import Random
from typing import Final

from proxy.config.fault_options import MOST_HELD, SINGLE, Fault
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.policy.delivery import EVENTS, LINES, Format, format_of, is_coded, media_type
from proxy.policy.fault_form import ResponseForm
from proxy.policy.fault_steps import (
    Complete,
    Fin,
    HeadSteps,
    MadeStep,
    Reset,
    Send,
    Stall,
)
from proxy.policy.header_fields import without
from proxy.stream.event_ends import EventEnds, LineEnds, MessageEnds, PieceEnds
from proxy.stream.event_stream import BOM
from proxy.stream.families import (
    PLAIN_BYTES,
    PLAIN_EVENTS,
    PLAIN_LINES,
    of_event,
    of_fields,
)
from proxy.stream.family import ProtocolFamily, Told, is_done
from proxy.stream.recent_events import Item, RecentEvents

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
CHUNKED: Final = (b"Transfer-Encoding", b"chunked")
# The body is no longer as long as Content-Length says.
RESIZING = ("clean_end", "no_terminal", "duplicate", "error_event", "compress")
# What is said in the terms of the stream's family.
JUDGING = ("no_terminal", "error_event")
WITHOUT_BODY = (204, 304)


class FaultSource:
    """The faults of a route, from request to request.

    What a request gets depends on the seed, the route and its number alone.
    """

    __slots__ = ("applied", "faults", "name", "number", "seed")

    def __init__(self, faults: Sequence[Fault], seed: int = 0, name: str = "") -> None:
        self.faults = tuple(faults)
        self.seed = seed
        self.name = name
        self.number = 0  # of requests so far
        self.applied = [0] * len(self.faults)

    def next(self, request: object = None) -> FaultEngine | None:
        """The engine for the next response; None: it has no fault.

        `request`: the JSON of the request's body, if that is known.
        """
        random = Random(f"{self.seed}/{self.name}/{self.number}")
        self.number += 1
        chosen = []
        for position, fault in enumerate(self.faults):
            hit = random.random() < fault.probability
            if hit and (not fault.times or self.applied[position] < fault.times):
                self.applied[position] += 1
                chosen.append(fault)
        return FaultEngine(chosen, random, self.name, request) if chosen else None


class FaultEngine:
    """The faults of one response.

    `head` comes first, then `piece` for each piece of the body, then `end`. What they
    return is taken in order.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        random: Random,
        route: str = "",
        request: object = None,
    ) -> None:
        self.random = random
        self.route = route
        self.request = request
        self.single: dict[str, Fault] = {}
        self.inside: dict[int, list[Fault]] = {}
        self.behind: dict[int, list[Fault]] = {}
        self.resizes = False
        self.judges = False  # the last events are needed
        for fault in sorted(faults, key=lambda each: each.place):
            self.put(fault)
        self.form = ResponseForm(self.single, random)
        self.format: Format | None = None
        self.ends: EventEnds | LineEnds | MessageEnds | PieceEnds = PieceEnds()
        self.held = bytearray()  # of the event that has begun, if it is not sent yet
        self.too_long = False  # that event is sent as it comes
        self.begun = False  # something has ended, be it an event or not
        self.family: ProtocolFamily | None = None
        self.recent: RecentEvents | None = None
        self.first: Item | None = None  # its outline

    def put(self, fault: Fault) -> None:
        """Put a fault where it is found when its turn comes."""
        if fault.kind in SINGLE:
            self.single.setdefault(fault.kind, fault)
        else:
            places = self.inside if fault.inside else self.behind
            places.setdefault(fault.after, []).append(fault)
        self.resizes = self.resizes or fault.kind in RESIZING
        self.judges = self.judges or fault.kind in JUDGING

    @property
    def over(self) -> bool:
        """Is nothing that comes of any use any more?"""
        return self.form.over

    # -- the head

    def head(self, status: int, fields: Fields, *, has_body: bool = True) -> HeadSteps:
        """The head of the response, and what follows it at once.

        `has_body`: not behind HEAD, for one. 101 begins a tunnel.
        """
        late = self.single.get("late_head")
        wait = late.seconds if late is not None else 0.0
        other = self.single.get("status")
        if other is not None:
            return self.replaced(wait, other.status, has_body=has_body)
        if not has_body or status in WITHOUT_BODY:
            self.without_faults()
            return HeadSteps(wait, status, b"", fields, "", [])
        head = ResponseHead(status, b"", 1, fields)
        if status == 101:
            self.single.pop("compress", None)
            self.single.pop("wrong_length", None)
            self.resizes = False
            if (head.get(b"upgrade") or b"").lower() == b"websocket":
                self.ends = MessageEnds()
        elif not is_coded(head):
            self.format = format_of(media_type(head))
        self.begin(head)
        framing = ""
        if "compress" in self.single:
            if is_coded(head):
                del self.single["compress"]
            else:
                self.form.compress()
                fields = [*fields, (b"Content-Encoding", b"gzip")]
        claimed = self.single.get("wrong_length")
        if claimed is not None:
            self.form.length = claimed.size
            framing = "length"
            length = (b"Content-Length", b"%d" % claimed.size)
            fields = [*without(fields, FRAMING), length]
        elif self.resizes and b"content-length" in head.index:
            framing = "chunked"
            fields = [*without(fields, FRAMING), CHUNKED]
        for fault in self.behind.get(0, ()):
            if not self.form.over:
                self.apply(fault, b"")
        return HeadSteps(wait, status, b"", fields, framing, self.form.taken())

    def begin(self, head: ResponseHead) -> None:
        """The body is about to come."""
        if self.format is EVENTS:
            self.ends = EventEnds()
        elif self.format is LINES:
            self.ends = LineEnds()
        if self.format is not None:
            lines = self.format is LINES
            self.family = None if lines else of_fields(head.index)
            if self.judges:
                self.recent = RecentEvents(lines=lines)

    def without_faults(self) -> None:
        """There is nothing that a fault could be in."""
        self.single.clear()
        self.inside.clear()
        self.behind.clear()

    def replaced(self, wait: float, status: int, *, has_body: bool) -> HeadSteps:
        """Another response: an error in the form of the most common APIs."""
        self.form.over = True
        reason = reason_of(status)
        if status in WITHOUT_BODY:
            return HeadSteps(wait, status, reason, [], "", [Complete()])
        error = {
            "message": f"fault: status {status}",
            "type": "server_error" if status >= 500 else "invalid_request_error",
            "code": "fault",
        }
        body = json.dumps({"error": error}).encode("ascii") + b"\n"
        fields = [
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(body)),
        ]
        steps: list[MadeStep] = [Send(body), Complete()] if has_body else [Complete()]
        return HeadSteps(wait, status, reason, fields, "length", steps)

    # -- the body

    def piece(self, data: bytes) -> list[MadeStep]:
        """What becomes of a piece."""
        at = 0
        for end in self.ends.find(data):
            if self.form.over:
                return self.form.taken()
            if at < end.at:
                self.part(data[at : end.at])
            at = end.at
            self.end_block(event=end.event)
        if not self.form.over and at < len(data):
            self.part(data[at:])
        return self.form.taken()

    def end(self, *, whole: bool = True) -> list[MadeStep]:
        """The upstream's body has ended; `whole`: as its framing says.

        Otherwise it broke off, and the break follows these steps.
        """
        if self.form.over:
            return self.form.taken()
        open_event = self.ends.finish()
        if open_event is not None and (whole or self.format is not LINES):
            self.end_block(event=open_event)
        elif self.held:  # an event that will never be complete
            self.pass_on(bytes(self.held), self.inside.get(self.form.count + 1, []))
        if not self.form.over:
            if whole:
                self.form.finish()
            else:
                self.form.flush()
        return self.form.taken()

    # -- events

    @property
    def holds(self) -> bool:
        """Does the event that has begun have to be complete before it is sent?"""
        number = self.form.count + 1
        return not self.too_long and (
            "no_terminal" in self.single
            or number in self.inside
            or any(each.kind == "duplicate" for each in self.behind.get(number, ()))
        )

    def part(self, data: bytes) -> None:
        """A part of one event, or of what stands between two."""
        if self.recent is not None:
            self.note(data)
        if not self.holds:
            self.form.send(data)
            return
        self.held += data
        if len(self.held) > MOST_HELD:  # its middle is here, wherever it ends
            self.too_long = True
            held = bytes(self.held)
            self.pass_on(held, self.inside.get(self.form.count + 1, []), MOST_HELD)

    def note(self, data: bytes) -> None:
        """Keep the last events, and recognise the first one's family."""
        recent = self.recent
        assert recent is not None
        if not recent.observe(data) or self.first is not None:
            return
        for item in recent.items():
            if "ping" not in (item.type, item.members.get("type")):
                self.first = item.outline
                if self.family is None:
                    self.family = of_event(item, lines=self.format is LINES)
                return

    def end_block(self, *, event: bool) -> None:
        """An event ends here, or comments and blank lines do."""
        held = bytes(self.held)
        # A byte order mark is one at the start of a stream only: a copy has none.
        copy = held if self.begun or self.format is None else held.removeprefix(BOM)
        self.begun = True
        if not event:
            self.pass_on(held, [])
            return
        number = self.form.count + 1
        if "no_terminal" in self.single and self.is_terminal(held):
            self.held.clear()
            self.form.finish()
            return
        self.pass_on(held, [] if self.too_long else self.inside.get(number, []))
        if self.form.over:
            return
        self.form.event_ended()
        self.too_long = False
        for fault in self.behind.get(number, ()):
            if not self.form.over:
                self.apply(fault, copy)

    def pass_on(self, data: bytes, inside: Sequence[Fault], size: int = 0) -> None:
        """Send what was held, with what happens in its middle."""
        self.held.clear()
        if not inside:
            self.form.send(data)
            return
        middle = (size or len(data)) // 2
        self.form.send(data[:middle])
        for fault in inside:
            if not self.form.over:
                self.apply(fault, b"")
        if not self.form.over:
            self.form.send(data[middle:])

    def apply(self, fault: Fault, event: bytes) -> None:
        """The place of a fault is reached, behind `event`."""
        kind = fault.kind
        if kind == "duplicate":
            self.form.end_write()
            self.form.send(event)
            self.form.end_write()
        elif kind == "stall" and fault.seconds:
            self.form.wait(fault.seconds)
        elif kind == "stall":
            self.form.break_off(Stall())
        elif kind == "fin":
            self.form.break_off(Fin())
        elif kind == "reset":
            self.form.break_off(Reset())
        elif kind == "clean_end":
            self.form.finish()
        else:
            self.tell_error()

    def is_terminal(self, event: bytes) -> bool:
        """Does an event say that the stream is complete?"""
        if self.format is None:
            return False
        recent = RecentEvents(lines=self.format is LINES)
        recent.observe(event)
        family = self.family
        return any(
            is_done(item)
            or (
                family is not None
                and family.complete is not None
                and family.complete([item])
            )
            for item in recent.items(ended=True)
        )

    def tell_error(self) -> None:
        """Send the error event of the family, then end; or break off: it has none."""
        family = self.family
        if family is None:
            family = {None: PLAIN_BYTES, EVENTS: PLAIN_EVENTS, LINES: PLAIN_LINES}[
                self.format
            ]
        told = Told("fault", "fault: error_event", self.route, self.request)
        last = [] if self.recent is None else self.recent.items()
        data = family.failure(told, self.first, last)
        if data is None:
            self.form.break_off(Fin())
        else:
            self.form.end_write()
            self.form.send(data)
            self.form.finish()


def reason_of(status: int) -> bytes:
    """What stands behind a status in the status line."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b"Fault"
