"""An upstream whose event stream breaks, and goes on for whoever comes back.

A client that reconnects says by `Last-Event-ID` where it was. It gets the rest; after
the last event 204, which tells an EventSource to come no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy import __version__
from proxy.config.fault_options import Fault, count, in_words
from proxy.http1.head import RequestHead
from proxy.origin.fault_effect import has_effect
from proxy.origin.origin_connection import Answerer, OriginConnection
from proxy.origin.record_match import Playable
from proxy.origin.replay_origin import ReplayAnswer, ReplayOrigin
from proxy.origin.response_text import event_bytes
from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
)

MOST_DIGITS = 9  # of an event's id: no stream here is that long


class BrokenOrigin(ReplayOrigin):
    """Answers every request with the events, from the one after `Last-Event-ID` on.

    The ids of the events are 1, 2, 3 …; `faults` are what goes wrong in a response.

    Raises:
        ValueError: a fault is wrong, or changes nothing of the whole stream.
    """

    def __init__(self, events: Sequence[str], faults: Sequence[Fault]) -> None:
        self.events = [
            event_bytes(data, id=number) for number, data in enumerate(events, 1)
        ]
        self.rests: dict[int, Playable] = {}
        whole = record_of(self.events)
        super().__init__([whole], speed=None, any_body=True, faults=faults)
        self.rests[0] = self.index.all[0]

    def check_effect(self, fault: Fault) -> None:
        if not has_effect(fault, self.plans[0]):
            events = count(len(self.events), "event")
            what = " with a character outside ASCII" * (fault.kind == "split")
            raise ValueError(
                f"fault: {in_words(fault)} changes nothing: the stream has {events}; "
                f"choose another place, or other events by events=…{what}"
            )

    def answerer(self, connection: OriginConnection, head: RequestHead) -> Answerer:
        answer = super().answerer(connection, head)
        assert isinstance(answer, ReplayAnswer)
        passed = self.passed(head.get(b"last-event-id") or b"")
        if passed not in self.rests:
            rest = record_of(self.events[passed:])
            self.rests[passed] = self.add(rest, f"from event {passed + 1} on")
        answer.choose_among([self.rests[passed]])
        return answer

    def passed(self, last_event_id: bytes) -> int:
        """How many events a client has; one that says nothing of use has none."""
        digits = last_event_id.lstrip(b"0") if last_event_id.isdigit() else b""
        if len(digits) > MOST_DIGITS:
            return len(self.events)
        return min(int(digits or b"0"), len(self.events))


def record_of(events: Sequence[bytes]) -> ExchangeRecord:
    """A response of events; without any, one that says that there are no more."""
    version = "1.1"
    fields = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]
    if events:
        head = RecordedHead(0, 200, "OK", version, fields, "chunked")
    else:
        head = RecordedHead(0, 204, "No Content", version, [], "none")
    return ExchangeRecord(
        began="2026-01-01T00:00:00.000000Z",
        by=f"unbuffered {__version__}",
        route="/",
        target="",
        request=RecordedRequest("GET", "/", version, "http", []),
        items=[head, *(RecordedPiece(0, "upstream", event) for event in events)],
        end=RecordedEnd(0, "complete"),
    )
