"""`Last-Event-ID`: a stream by the last event that a client has of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from proxy.errors import (
    StreamGone,
    StreamUnknown,
)
from proxy.exchange.followed_stream import FollowedStream
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.store_word import StoreWord, uncertain
from proxy.exchange.stream_request import (
    BY_EVENT_ID,
    BY_UPSTREAM_ID,
    StreamRequest,
    cors_for,
)
from proxy.http1.grammar import Fields
from proxy.policy.delivery import EVENT_STREAM, may_be_event_source, reconnects
from proxy.policy.stream_identity import (
    EventId,
    fingerprint,
    last_event_id,
    parse_event_id,
    shown_id,
)

FAILED = b": the stream of this Last-Event-ID has failed; this is a new one\n"
COME_BACK = b": %b; come back for the stream of this Last-Event-ID\n\n"

log = logging.getLogger("unbuffered")


class CursorLookup:
    """Looks at the cursor of one request, before its response begins."""

    __slots__ = ("request",)

    def __init__(self, request: StreamRequest) -> None:
        self.request = request

    def by_event_id(self) -> bool:
        """The request names the last event that its client has."""
        resume = self.request.route.route.resume
        if resume is None:
            return False
        cursor = last_event_id(self.request.head)
        if cursor is None:
            return False
        registry = self.request.registry
        ours = parse_event_id(cursor)
        if ours is None:
            return self.by_upstream_id(cursor)
        stream = registry.streams.get(ours.stream)
        known = ours.stream in registry.gone
        if stream is not None and not self.may_have(stream, resume.bind):
            stream = None
        if stream is None or not stream.has_log:
            if self.by_upstream_id(cursor):  # of a proxy like this one, further back
                return True
            return self.cannot_resume(ours, known=known)
        position = stream.log.after_id(cursor)
        if position is None:
            return self.behind_gap(stream, ours)
        if not self.is_read(stream, position):
            self.request.subscribe(stream, position, BY_EVENT_ID)
        elif stream.error is None:
            self.has_all(stream)
        else:
            self.request.prelude = FAILED
            return False
        return True

    def is_read(self, stream: KeptStream, position: int) -> bool:
        """Has the client all that it can make use of?

        An EventSource drops an event that is not complete (WHATWG HTML §9.2.6), and
        would come back for it again and again; and so for a failure. Others learn of
        the failure.
        """
        if not stream.settled:
            return False
        if not reconnects(self.request.head):
            return stream.error is None and position >= stream.log.end
        last = stream.log.last_events(0)
        return last is None or position >= last

    def may_have(self, stream: KeptStream, bind: Sequence[str]) -> bool:
        """Is it a stream of this route, and of this client?"""
        registry = self.request.registry
        same = stream.print == fingerprint(self.request.head, bind, registry.secret)
        if same and stream.route.prefix == self.request.route.prefix:
            return True
        registry.refused("bind")
        return False

    def by_upstream_id(self, cursor: bytes) -> bool:
        """The upstream numbers its events: its streams to the same request.

        Many number each stream from 1 on. The ids of a GET are those of what it names,
        in whichever stream; of other requests each has a stream of its own, and where
        it is not certain which one is meant, the upstream is asked.
        """
        found = self.found_by_upstream_id(cursor)
        if found is None:
            return False
        self.request.subscribe(*found, BY_UPSTREAM_ID)
        return True

    def found_by_upstream_id(self, cursor: bytes) -> tuple[KeptStream, int] | None:
        """The stream that is meant, and where in it the event ends."""
        found: list[tuple[KeptStream, int]] = []
        streams = self.request.registry.find_all(
            self.request.events_name, self.request.strict_print
        )
        for stream in reversed(streams):
            if not stream.has_log or not stream.is_numbered:
                continue
            position = stream.log.after_id(cursor)
            if position is None:
                continue
            if stream.settled and (
                position >= stream.log.end or self.is_read(stream, position)
            ):
                continue  # the upstream may have more, or says that it has not
            found.append((stream, position))
        # Who comes back has left one, if the proxy knows of that already.
        left = [each for each in found if not each[0].audience.subscribers]
        if len(found) > 1 and left:
            found = left
        if not found or (len(found) > 1 and not self.request.names_a_resource):
            return None
        return found[0]

    def cannot_resume(self, ours: EventId, *, known: bool) -> bool:
        """The stream is not there. An EventSource gets a new one, and is told.

        True: it has been answered, since nobody knows whether the stream is there.

        Raises:
            StreamUnknown, StreamGone, StreamUncertain: the client is another.
        """
        request = self.request
        silence = "" if known else request.silence
        if reconnects(request.head):
            if silence and self.comes_back(ours):
                fields: Fields = [(b"Content-Type", EVENT_STREAM)]
                text = COME_BACK % silence.encode("ascii")
                fields.append((b"Content-Length", b"%d" % len(text)))
                request.answer(None, 200, fields, text)
                return True
            self.tell_of_new_one(ours, silence, known=known)
            return False
        if silence:
            raise uncertain(silence)
        if known:
            raise StreamGone(
                "the stream of this Last-Event-ID is no longer kept "
                "(resume.keep_seconds); send the request without it to start a new one"
            )
        absence = request.word.absence
        because = f" ({absence})" if absence else ""
        raise StreamUnknown(
            f"there is no stream of this client with this Last-Event-ID{because}; send "
            "the request without it to start a new one"
        )

    def comes_back(self, ours: EventId) -> bool:
        """Does an EventSource come back, and has it not done so too often?

        To a page of another origin its empty response would be an error, and the end:
        which origins may read the stream is not known either.
        """
        request = self.request
        if b"origin" in request.head.index:
            return False
        return request.registry.asked_in_vain(ours.stream)

    def tell_of_new_one(self, ours: EventId, silence: str, *, known: bool) -> None:
        """An EventSource gets a stream of its own, and reads why."""
        what = "no longer kept" if known else "not known"
        why = silence or self.request.word.absence
        if why:
            what = f"{what} ({why})"
            log.info(
                "route %s: stream %s is %s: its client gets a new one",
                self.request.route.prefix,
                shown_id(ours.stream),
                what,
            )
        text = f": the stream of this Last-Event-ID is {what}; this is a new one\n"
        self.request.prelude = text.encode("ascii")

    def behind_gap(self, stream: KeptStream, ours: EventId) -> bool:
        """Events behind the cursor are no longer kept, or were never there.

        Raises:
            StreamGone: and the client is none that reads of a gap.
            StreamUnknown, StreamUncertain: it was never there, or is not yet.
        """
        begins, number = first_number(stream), ours.number
        if begins is None or number > begins[0]:
            word = self.request.word
            if isinstance(stream, FollowedStream) and not word.silence:
                self.request.word = StoreWord(absence=stream.why_incomplete)
            return self.cannot_resume(ours, known=False)
        if not reconnects(self.request.head):
            gone = StreamGone(
                f"events {number + 1} to {begins[0]} of the stream are no longer kept "
                "(resume.max_bytes)"
            )
            gone.fields = cors_for(stream, self.request.head)
            raise gone
        gap = b"%b.%d" % (stream.id, begins[0])
        self.request.subscribe(stream, begins[1], BY_EVENT_ID, gap=gap)
        return True

    def has_all(self, stream: KeptStream) -> None:
        """Nothing is left for the client.

        204 has an EventSource stop. To others it is a fault, and some ask again: what
        they get is an event stream that has ended. Who comes back from a 204 is one of
        them, whatever its request looks like; an EventSource comes back from the other.
        """
        if may_be_event_source(self.request.head):
            stream.told_end = not stream.told_end
            if stream.told_end:
                self.request.nothing_runs(stream)
                return
        fields: Fields = [(b"Content-Type", EVENT_STREAM), (b"Content-Length", b"0")]
        self.request.answer(stream, 200, fields)


def first_number(stream: KeptStream) -> tuple[int, int] | None:
    """The first of our event ids behind which all is kept, and where that is.

    None: there is none.
    """
    log, count = stream.log, stream.count_of_ids
    if not count:
        return None
    low, high = 1, count
    while low < high:
        middle = (low + high) // 2
        if log.after_id(b"%b.%d" % (stream.id, middle)) is None:
            low = middle + 1
        else:
            high = middle
    position = log.after_id(b"%b.%d" % (stream.id, low))
    return None if position is None else (low, position)
