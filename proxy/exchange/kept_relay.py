"""The way of a short event into a log and to the one client that reads it.

What most pieces of a kept stream are. Everything else goes the long way: `LogSink`,
`EventIndex.scan`, `Audience`.
"""

from __future__ import annotations

from proxy.exchange.audience import Audience
from proxy.exchange.log_sink import LogSink
from proxy.http1.chunked import ChunkedBody
from proxy.kept.log import StreamLog
from proxy.stream.event_index import CR, LF, SHORTEST, EventIndex
from proxy.timeline import Clock, Timeline
from proxy.transport.flow import ChunkedSink, Source
from proxy.transport.relay import LINES, SHORT, ChunkRelay, Done

NO_LINE = b"-"  # where no chunk can begin so
# As `LINES`, of chunks with an event that `EventIndex.scan` need not look at.
EVENT_LINES = [
    NO_LINE if line is None or length - len(line) - 2 < SHORTEST else line
    for length, line in enumerate(LINES)
]


class KeptRelay(ChunkRelay):
    """A chunked response body that is kept as it passes."""

    __slots__ = ("audience", "index", "log", "log_sink")

    def __init__(
        self,
        source: Source,
        sink: LogSink,
        done: Done,
        timeline: Timeline,
        clock: Clock,
        body: ChunkedBody,
        index: EventIndex,
        log: StreamLog,
    ) -> None:
        super().__init__(source, sink, done, timeline, clock, body)
        self.log_sink = sink
        self.audience: Audience = sink.audience
        self.index = index
        self.log = log

    def passes(self, data: bytes) -> bool:
        """See `ChunkRelay.passes`; this is `LogSink.write` in the same call as well.

        If the chunk is one event, as `EventIndex.scan` knows it, and is owed to one
        live client. Kept first: writing it may show that the client is slow.
        """
        index, write, length = self.index, self.audience.only, len(data)
        if write is None or not index.plain or length > SHORT or not self.body.between:
            return super().passes(data)
        line = EVENT_LINES[length]
        if not data.startswith(line):
            return super().passes(data)
        begin = len(line)
        text = data[begin : index.text_stop]
        witnessed = self.first is not self.client
        if (
            not text.startswith(index.starts)
            or CR in text
            or not data.endswith(index.framed_end)
            or (LF in text and not index.is_one(text))
            or (witnessed and not self.has_witnesses_only())
        ):
            return super().passes(data)
        timeline, call, clock = self.timeline, self.call, self.clock
        now = clock()
        last = call.last_piece
        if last is None:
            call.first_byte = now
        elif now - last > call.longest_gap:
            call.longest_gap = now - last
        call.last_piece = call.silent_since = now
        call.pieces += 1
        timeline.bytes_sent += length - begin - 2
        try:
            if index.prefix is None:
                counted = self.log.append_event(data[begin:-2], False)
                write(data)
            else:
                index.count = count = index.count + 1
                event = b"%b\nid: %b%d\n\n" % (text, index.prefix, count)
                counted = self.log.append_event(event, True)
                write(b"%x\r\n%b\r\n" % (len(event), event))
        except Exception as error:
            self.audience.crashed(error)
        hold = clock() - now
        if hold > timeline.longest_hold:
            timeline.longest_hold = hold
        if counted:
            self.log_sink.look(self.log)
        if witnessed:
            self.sent_at = now + hold
            self.tell_witnesses(data[begin:-2])
        return True


def kept_relay(
    source: Source,
    sink: ChunkedSink,
    done: Done,
    timeline: Timeline,
    clock: Clock,
    body: ChunkedBody,
) -> ChunkRelay:
    """The relay of a response that is kept, if it has events."""
    if isinstance(sink, LogSink):
        index, log = sink.index, sink.log
        if index is not None and log is not None:
            return KeptRelay(source, sink, done, timeline, clock, body, index, log)
    return ChunkRelay(source, sink, done, timeline, clock, body)
