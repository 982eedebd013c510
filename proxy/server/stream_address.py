"""`/_unbuffered/streams/ID`: a kept stream by its ID, from the field Stream-Id.

GET takes it up: from its beginning, behind `Last-Event-ID`, or from `?from=BYTE`. HEAD
tells its state, DELETE stops its upstream. Open to every client that has the ID and the
fields it is bound to, pages of the origins that its response allows among them.
"""

from __future__ import annotations

from proxy.errors import (
    ClientError,
    MalformedRequest,
    MethodNotAllowed,
    StreamGone,
    StreamStopped,
    StreamUncertain,
    StreamUnknown,
)
from proxy.exchange.exchange import Exchange
from proxy.exchange.followed_stream import FollowedStream
from proxy.exchange.handed_exchange import HandedExchange
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.store_lookup import Has, StoreLookup, knows, reaches
from proxy.exchange.store_word import (
    BEHIND,
    NOT_ASKED,
    SILENT,
    StoreWord,
    silence_of,
    uncertain,
)
from proxy.exchange.stream_request import BY_ADDRESS, DROPPED, cors_for
from proxy.exchange.subscriber import Subscriber
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.kept.registry import KeptStreams
from proxy.policy.error_response import own_plan
from proxy.policy.resumption import METHODS, is_preflight, preflight_fields
from proxy.policy.routing import Destination
from proxy.policy.stream_identity import (
    byte_cursor,
    fingerprint,
    last_event_id,
    masked_cursor,
    owner_of,
    shown_id,
)
from proxy.timeline import http_date

STREAMS = b"/_unbuffered/streams/"


def shown_address(target: bytes) -> bytes:
    """The address of a stream for logs: enough of its ID to tell streams apart."""
    id, mark, query = target[len(STREAMS) :].partition(b"?")
    shown = b"****" if owner_of(id) is None else shown_id(id).encode("ascii") + b"-****"
    return masked_cursor(STREAMS + shown + mark + query)


class StreamAddress:
    """One request for a kept stream."""

    __slots__ = ("body", "exchange", "registry", "stream", "word")

    def __init__(self, exchange: Exchange, registry: KeptStreams[KeptStream]) -> None:
        self.exchange = exchange
        self.registry = registry
        self.body: Body | None = None
        self.stream: KeptStream | None = None  # once the client may know of it
        self.word = NOT_ASKED  # of the store

    def serve(self) -> None:
        """Answer it."""
        exchange = self.exchange
        exchange.timeline.target = shown_address(exchange.head.target)
        exchange.introduce()
        try:
            self.body = exchange.client.open_body()
            if not self.hand_over(self.body) and not self.ask_store():
                self.respond(NOT_ASKED)
        except (ClientError, StreamUncertain) as error:
            exchange.fail(error)

    def ask_store(self) -> bool:
        """Wait for what other machines have; False: it is known here."""
        shared, head = self.registry.shared, self.exchange.head
        if shared is None or not shared.up or owner_of(self.id) is None:
            return False
        cursor = last_event_id(head)
        has = reaches(byte_cursor(head) or 0) if cursor is None else knows(cursor)
        lookup = StoreLookup(self.exchange, shared)
        question = lookup.for_one(self.id, has)
        if question is None:
            return False
        lookup.ask(question, lambda: self.respond(lookup.word))
        return True

    def respond(self, word: StoreWord) -> None:
        """Answer it by a stream that is known here, or by what the store has said."""
        exchange, self.word = self.exchange, word
        method = exchange.head.method
        try:
            stream = self.find()
            if method == b"OPTIONS":
                self.preflight(stream)
                return
            self.check_owner(stream)
            self.stream = stream
            if method == b"GET":
                self.take_up(stream)
            elif method == b"HEAD":
                self.answer(stream, 200, self.state(stream))
            elif method == b"DELETE":
                if stream.is_followed and self.registry.store_is_down:
                    raise uncertain(SILENT)  # nor can its process be told
                stream.stop(StreamStopped("the stream was stopped by its client"))
                self.answer(stream, 204, [])
            else:
                raise not_allowed()
        except (ClientError, StreamUncertain) as error:
            if self.stream is not None:
                cors = cors_for(self.stream, exchange.head)
                error.fields = [*error.fields, *cors]
            exchange.fail(error)

    @property
    def id(self) -> bytes:
        """The ID that is asked for."""
        return self.exchange.head.target[len(STREAMS) :].partition(b"?")[0]

    def hand_over(self, body: Body) -> bool:
        """Have the worker answer that has the stream; False: it is this one."""
        exchange = self.exchange
        peers, worker = exchange.owner.peers, owner_of(self.id)
        if (
            peers is None
            or worker is None
            or worker == peers.number
            or worker >= peers.count
            or isinstance(exchange, HandedExchange)
        ):
            return False
        where = Destination(exchange.head.target, None)
        peers.hand_over(exchange, worker, None, where, body, self.unknown, last=True)
        return True

    def unknown(self) -> None:
        """The worker that had the stream, if there was one, cannot be asked."""
        exchange = self.exchange
        exchange.route, exchange.timeline.route = None, None
        try:
            if not self.ask_store():
                raise self.nowhere()
        except (ClientError, StreamUncertain) as error:
            exchange.fail(error)

    def find(self) -> KeptStream:
        """The stream of that ID.

        Raises:
            StreamUnknown, StreamGone, StreamUncertain.
        """
        registry = self.registry
        id = self.id
        stream = registry.streams.get(id)
        if stream is None or stream.response_head is None:
            if id in registry.gone:
                raise StreamGone("this stream is no longer kept (resume.keep_seconds)")
            if owner_of(id) is None:
                raise StreamUnknown(
                    "this is not the ID of a stream; the field Stream-Id of a response "
                    "has it"
                )
            raise self.nowhere()
        exchange = self.exchange
        exchange.route = stream.route
        exchange.timeline.route = stream.route.prefix
        return stream

    def nowhere(self) -> ClientError | StreamUncertain:
        """Neither this process has it nor, as far as that is known, another one."""
        silence, absence = silence_of(self.registry, self.word), self.word.absence
        if silence:
            return uncertain(silence)
        because = f": {absence}" if absence else ""
        return StreamUnknown(f"there is no such stream of this client{because}")

    def check_owner(self, stream: KeptStream) -> None:
        """Is the client the one that the stream is bound to?

        Raises:
            StreamUnknown: nobody else is told that there is one.
        """
        resume = stream.route.route.resume
        bind = () if resume is None else resume.bind
        who = fingerprint(self.exchange.head, bind, self.registry.secret)
        if not stream.resumes or who != stream.print:
            self.registry.refused("bind")
            raise StreamUnknown("there is no such stream of this client")

    def take_up(self, stream: KeptStream) -> None:
        """GET: go on from where the client is.

        Raises:
            MalformedRequest, StreamGone.
        """
        position = self.position(stream)
        if stream.settled and position >= stream.log.end and stream.error is None:
            self.answer(stream, 204, [])
            return
        self.registry.resumed(BY_ADDRESS)
        self.read_body()
        stream.subscribe(Subscriber(self.exchange, stream, position, BY_ADDRESS))

    def position(self, stream: KeptStream) -> int:
        """Where the client wants to go on.

        Raises:
            MalformedRequest: it is not a place in this stream.
            StreamGone: what follows it is no longer kept.
            StreamUncertain: or is not in the store yet.
        """
        head, log = self.exchange.head, stream.log
        cursor, position = last_event_id(head), byte_cursor(head)
        if cursor is not None:
            found = log.after_id(cursor)
            if found is None:
                why = why_ahead(stream, knows(cursor))
                because = f" ({why})" if why else ""
                raise StreamGone(
                    "the event of Last-Event-ID is not in this stream, or no longer"
                    f"{because}; kept are the bytes from {log.first} to {log.end}"
                )
            return found
        if position is None:
            position = 0
        if position > log.end:
            raise beyond(stream, position)
        if position < log.first:
            raise StreamGone(
                f"the bytes before {log.first} are no longer kept (resume.max_bytes); "
                f"add ?from={log.first} to begin there"
            )
        return position

    def state(self, stream: KeptStream) -> Fields:
        """HEAD: how it stands. Stream-Bytes: the first that is kept, and the end."""
        fields: Fields = [(b"Stream-Id", stream.id)]
        fields.append((b"Stream-State", stream.state.encode("ascii")))
        if stream.has_log:
            log = stream.log
            fields.append((b"Stream-Bytes", b"%d-%d" % (log.first, log.end)))
        if stream.response_head is not None:
            kind = stream.response_head.get(b"content-type")
            if kind is not None:
                fields.append((b"Content-Type", kind))
        return fields

    def preflight(self, stream: KeptStream) -> None:
        """OPTIONS: may a page of that origin ask (Fetch, CORS-preflight)?

        Raises:
            StreamUnknown: it may not.
        """
        resume = stream.route.route.resume
        fields = None
        if stream.response_head is not None and is_preflight(self.exchange.head):
            bind = () if resume is None else resume.bind
            fields = preflight_fields(stream.response_head, self.exchange.head, bind)
        if fields is None:
            raise StreamUnknown("there is no such stream for pages of this origin")
        self.send(204, fields)

    def answer(self, stream: KeptStream, status: int, fields: Fields) -> None:
        """Answer without a body; pages may read it if they may read the stream."""
        self.send(status, [*fields, *cors_for(stream, self.exchange.head)])

    def send(self, status: int, fields: Fields) -> None:
        """Send an answer without a body."""
        exchange = self.exchange
        self.read_body()
        fields = [*fields, (b"Cache-Control", b"no-store"), (b"Date", http_date())]
        exchange.send_own(own_plan(status, fields, exchange.client.terms), b"")
        exchange.complete()

    def read_body(self) -> None:
        """Read the body of the request, which nobody needs."""
        if self.body is not None and not self.body.complete:
            self.exchange.client.read_body(DROPPED)


def why_ahead(stream: KeptStream, has: Has) -> str:
    """Why a client may have more of a stream than is here: its owner sends first.

    Raises:
        StreamUncertain: it may be here soon.
    """
    if not isinstance(stream, FollowedStream):
        return ""
    if stream.lags(has):
        raise uncertain(BEHIND)
    return stream.why_incomplete


def beyond(stream: KeptStream, position: int) -> ClientError:
    """A client says that it has more bytes of a stream than there are.

    Raises:
        StreamUncertain: it may be right.
    """
    has = f"from={position} is beyond the {stream.log.end} bytes of the stream"
    why = why_ahead(stream, reaches(position))
    if why:
        return StreamGone(f"{has} that the store has: {why}")
    return MalformedRequest(has)


def not_allowed() -> MethodNotAllowed:
    """Another method, and which ones there are (RFC 9110 §15.5.6)."""
    error = MethodNotAllowed("a kept stream takes GET, HEAD and DELETE")
    error.fields = [(b"Allow", METHODS)]
    return error
