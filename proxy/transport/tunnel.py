"""The tunnel: an upgraded connection, raw in both directions (RFC 9110 §7.8).

Frames, fragments, compression extensions, pings and close codes are the peers'
business: bytes pass as they came. Each direction ends by itself (half-close);
the tunnel is over when both have, or when either connection breaks.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.timeline import Clock, Timeline
from proxy.transport.flow import TunnelEnd
from proxy.transport.pipeline import Pipeline


class Direction(Pipeline):
    """One way through the tunnel."""

    __slots__ = ("ended", "here", "there", "tunnel")

    def __init__(self, tunnel: Tunnel, source: TunnelEnd, sink: TunnelEnd) -> None:
        super().__init__(source, sink)
        self.here = source
        self.there = sink
        self.tunnel = tunnel
        self.ended = False
        sink.feeder = self
        if sink.blocked:
            self.sink_blocked()

    @property
    def blocked(self) -> bool:
        return self.sink.blocked

    def piece(self, data: bytes) -> None:
        tunnel = self.tunnel
        tunnel.call.silent_since = tunnel.clock()
        tunnel.timeline.bytes_received += len(data)
        self.first.send_piece(data)

    def end(self, trailers: Fields) -> None:
        self.ended = True
        if self.there.is_closing:
            return
        if self.here.half_closes and self.there.half_closes:
            self.there.send_fin()
            self.tunnel.direction_ended()
        else:  # TLS has no half-close: the end of one direction is that of both
            self.tunnel.finish(None)

    def broken(self, error: ProxyError) -> None:
        # A peer that has ended its direction need not wait for the other's end.
        self.tunnel.finish(None if self.ended else error)


class ToClient(Direction):
    """The way to the client, with its times, as a response has them."""

    __slots__ = ()

    def arrival(self) -> float | None:
        return self.tunnel.call.last_piece

    def piece(self, data: bytes) -> None:
        tunnel = self.tunnel
        timeline, clock = tunnel.timeline, tunnel.clock
        now = clock()
        tunnel.call.piece_read(now)
        timeline.bytes_sent += len(data)
        self.first.send_piece(data)
        timeline.piece_written(now, self.sent_at if self.sent_at >= now else clock())

    def sink_blocked(self) -> None:
        tunnel = self.tunnel
        tunnel.timeline.hold_begins(tunnel.call.last_piece or tunnel.clock())
        super().sink_blocked()

    def sink_ready(self) -> None:
        tunnel = self.tunnel
        now = tunnel.clock()
        tunnel.timeline.hold_ends(now)
        tunnel.call.silent_since = now
        super().sink_ready()


class Tunnel:
    """Both ways, and when they are over."""

    __slots__ = ("call", "clock", "done", "timeline", "to_client", "to_upstream")

    def __init__(
        self,
        client: TunnelEnd,
        upstream: TunnelEnd,
        done: Callable[[ProxyError | None], None],
        timeline: Timeline,
        clock: Clock,
    ) -> None:
        self.done: Callable[[ProxyError | None], None] | None = done
        self.timeline = timeline
        self.call = timeline.call
        self.clock = clock
        self.to_upstream = Direction(self, client, upstream)
        self.to_client = ToClient(self, upstream, client)

    def direction_ended(self) -> None:
        """A direction is over; with the other, all is."""
        if self.to_client.ended and self.to_upstream.ended:
            self.finish(None)

    def finish(self, error: ProxyError | None) -> None:
        """Tell once how it ended."""
        done = self.done
        if done is not None:
            self.done = None
            done(error)
