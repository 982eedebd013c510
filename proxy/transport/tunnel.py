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
from proxy.transport.client_connection import ClientConnection
from proxy.transport.connection import Connection
from proxy.transport.tap import Tap
from proxy.transport.upstream_connection import UpstreamConnection


class Direction:
    """One way through the tunnel."""

    __slots__ = ("ended", "sink", "source", "tunnel")

    def __init__(self, tunnel: Tunnel, source: Connection, sink: Connection) -> None:
        self.tunnel = tunnel
        self.source = source
        self.sink = sink
        self.ended = False
        sink.feeder = self
        if sink.blocked:
            self.sink_blocked()

    @property
    def blocked(self) -> bool:
        return self.sink.blocked

    def piece(self, data: bytes) -> None:
        timeline = self.tunnel.timeline
        timeline.silent_since = self.tunnel.clock()
        timeline.bytes_received += len(data)
        self.sink.transport.write(data)

    def end(self, trailers: Fields) -> None:
        self.ended = True
        source, sink = self.source.transport, self.sink.transport
        if self.sink.closed or sink.is_closing():
            return
        if source.can_write_eof() and sink.can_write_eof():
            self.sink.send_fin()
            self.tunnel.direction_ended()
        else:  # TLS has no half-close: the end of one direction is that of both
            self.tunnel.finish(None)

    def broken(self, error: ProxyError) -> None:
        # A peer that has ended its direction need not wait for the other's end.
        self.tunnel.finish(None if self.ended else error)

    def sink_blocked(self) -> None:
        self.source.pause_reading()

    def sink_ready(self) -> None:
        self.source.resume_reading()


class ToClient(Direction):
    """The way to the client, with its times, as a response has them."""

    __slots__ = ()

    def piece(self, data: bytes) -> None:
        timeline, clock = self.tunnel.timeline, self.tunnel.clock
        now = clock()
        timeline.piece_read(now)
        timeline.bytes_sent += len(data)
        self.sink.transport.write(data)
        timeline.piece_written(now, clock())

    def sink_blocked(self) -> None:
        timeline = self.tunnel.timeline
        timeline.hold_begins(timeline.last_piece or self.tunnel.clock())
        super().sink_blocked()

    def sink_ready(self) -> None:
        timeline, now = self.tunnel.timeline, self.tunnel.clock()
        timeline.hold_ends(now)
        timeline.silent_since = now
        super().sink_ready()


class Tunnel:
    """Both ways, and when they are over."""

    __slots__ = ("clock", "done", "timeline", "to_client", "to_upstream")

    def __init__(
        self,
        client: ClientConnection,
        upstream: UpstreamConnection,
        done: Callable[[ProxyError | None], None],
        timeline: Timeline,
        clock: Clock,
        tap: Tap | None = None,
    ) -> None:
        self.done: Callable[[ProxyError | None], None] | None = done
        self.timeline = timeline
        self.clock = clock
        self.to_upstream = Direction(self, client, upstream)
        self.to_client = ToClient(self, upstream, client)
        there, back = self.to_upstream, self.to_client
        upstream.become_tunnel(back if tap is None else tap.response(back))
        client.become_tunnel(there if tap is None else tap.request(there))

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
