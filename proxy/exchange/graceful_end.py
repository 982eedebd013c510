"""The end of the process, as one exchange meets it.

The event stream of a client that reconnects is watched for the end of an event,
where the client can be left without loss. Anything else is cut when
`drain_seconds` are over: a clean end would say that the response is complete.
"""

from __future__ import annotations

from proxy.errors import ShuttingDown
from proxy.exchange.exchange import Exchange
from proxy.internal_errors import report
from proxy.policy.delivery import reconnects
from proxy.timeline import OVER, Ending
from proxy.transport.boundary import WatchedSink
from proxy.transport.relay import ResponseRelay


class Departing(Exchange):
    """An exchange that may have to end because the process does."""

    __slots__ = ()

    def watch(self, *, at_beginning: bool) -> None:
        """Know from now on where the events of the response end."""
        relay = self.client.feeder
        if self.watched is not None or not self.event_stream:
            return
        if isinstance(relay, ResponseRelay):
            self.watched = WatchedSink(self.client, at_beginning=at_beginning)
            relay.sink = self.watched

    def drain(self) -> None:
        """The proxy is about to shut down; this exchange has until then."""
        if reconnects(self.head):
            self.watch(at_beginning=False)

    def shut_down(self) -> bool:
        """End the stream of an EventSource at the next boundary, cut the rest at once.

        To an EventSource the end of its stream is the sign to reconnect. True
        if the client was left with half a response.
        """
        if self.watched is None or not reconnects(self.head):
            self.cut()
            return True
        self.watched.call_at_boundary(self.end_between_events)
        return False

    def end_between_events(self) -> None:
        """End the stream, if it is still between two events; called by the loop."""
        try:
            self.end_at_boundary()
        except Exception as error:
            self.crashed("the end of a stream at an event", error)

    def end_at_boundary(self) -> None:
        watched = self.watched
        if self.phase is OVER or watched is None:
            return
        if not watched.boundary.reached:  # more came in the same turn
            watched.call_at_boundary(self.end_between_events)
            return
        self.over(
            Ending.SHUT_DOWN, ShuttingDown("drain_seconds are over: ended at an event")
        )
        self.let_go()
        try:
            self.client.send_end([])
        except Exception as error:
            report("the end of a stream at an event", error)
            self.client.abort()
        self.notify()
        self.client.next()

    def cut(self) -> None:
        """End it as it is."""
        self.fail(ShuttingDown("the proxy is shutting down, drain_seconds are over"))
