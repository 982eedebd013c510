"""A tap on one exchange: put in when it begins, or while it runs; taken out.

Owns where the wires go. What is done with the pieces is the record's business.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.timeline import Clock
from proxy.transport.capture import ArrivalReceiver, Record, TappedReceiver, TappedSink
from proxy.transport.connection import Connection, Receiver
from proxy.transport.relay import DecodingRelay


class Tap:
    """Both sides of one exchange."""

    __slots__ = ("clock", "finish", "record", "relay")

    def __init__(self, record: Record, clock: Clock) -> None:
        self.record = record
        self.clock = clock
        self.relay: DecodingRelay | None = None
        self.finish: Callable[[object], None] | None = None

    def request(self, receiver: Receiver) -> Receiver:
        """What takes the pieces of the request instead of `receiver`."""
        return TappedReceiver(receiver, self.record, "request", self.clock)

    def response(self, receiver: Receiver) -> Receiver:
        """What takes the pieces of the response instead of `receiver`."""
        if not isinstance(receiver, DecodingRelay):
            return TappedReceiver(receiver, self.record, "response", self.clock)
        before = ArrivalReceiver(receiver, self.record, "response", self.clock)
        receiver.sink = TappedSink(receiver.sink, before, lambda: receiver.steps)
        self.relay = receiver
        return before

    def dial_in(self, client: Connection, upstream: Connection | None) -> None:
        """Tap an exchange that is under way, from now on."""
        if client.receiver is not None:
            client.receiver = self.request(client.receiver)
        if upstream is not None and upstream.receiver is not None:
            upstream.receiver = self.response(upstream.receiver)

    def remove(self, client: Connection, upstream: Connection | None) -> None:
        """Leave the exchange as it was without a tap."""
        for connection in (client, upstream):
            if connection is not None and isinstance(
                connection.receiver, TappedReceiver
            ):
                connection.receiver = connection.receiver.receiver
        if self.relay is not None and isinstance(self.relay.sink, TappedSink):
            self.relay.sink = self.relay.sink.sink
            self.relay = None

    def over(self, exchange: object) -> None:
        """The exchange has ended; nothing of it is let go of yet."""
        self.relay = None
        if self.finish is not None:
            self.finish(exchange)
        self.record.over(self.clock())
