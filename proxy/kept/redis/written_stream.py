"""One stream of this node in the server: what of its log is there, and what is not.

    1 begin      its head is here                   -> START, and its log from its start
    2 log_grew   each piece, once in a flush        -> APPEND what is not there yet
    3 update     something else has changed         -> CHANGE
    4 end        all of it is known                 -> FINISH, behind the last byte
      release    given up on purpose                -> CHANGE, without an owner

What is not in the server any more, and what had left the log before it was written, is
written again from the first cut that is kept. Where the log was cut at its end, that is
another epoch, for those who have more of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item, Rest, Step
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.leases import Leases
from proxy.kept.redis.records import encode_end, encode_meta
from proxy.kept.redis.scripts import BURIED, DONE, LOST, MISSING
from proxy.kept.redis.sealing import Sealing
from proxy.kept.redis.store_connection import Argument
from proxy.kept.shared_store import OwnedBy, StreamEnd, StreamMeta
from proxy.kept.stored_log import StoredLog

ENTRY_BYTES: Final = 64 * 1024  # of one entry, at most
REST_BYTES: Final = 1024 * 1024  # that are kept of a log that closes unwritten
SPARE_MS: Final = 60_000  # beyond keep_seconds, while it runs
LEAST_MS: Final = 10_000  # that an end can be read by those who follow
RUNNING: Final = b"running"
NOWHERE: Final = (-1, 0, 0)


class ServerPlace(NamedTuple):
    """Where a stream is in the server, by the secret that holds now."""

    name: bytes
    seal: Any  # StreamSeal


class WrittenStream:
    """As `OwnedStream` and `LogWriter`. `mark`: called if there is something to do."""

    def __init__(
        self,
        id: bytes,
        by: OwnedBy,
        log: StoredLog,
        epoch: int,
        node: bytes,
        mark: Callable[[WrittenStream], None],
    ) -> None:
        self.id = id
        self.by = by
        self.log = log
        self.epoch = epoch
        self.node = node
        self.mark = mark
        self.place: ServerPlace | None = None
        self.meta: StreamMeta | None = None
        self.keep_ms = 0
        self.version = 0  # of the meta, and of who owns it
        self.known_version = -1  # in the server
        self.starts = True  # nothing of it is there
        self.stored_epoch = epoch  # of the log that is there, if one is
        self.epoch_begin = 0  # where this epoch goes on
        self.generation = 0
        self.written = 0  # up to here the log is there
        self.sent = 0  # or on its way
        self.known_place = NOWHERE  # how many events end there, and is it a cut?
        self.trimmed = 0  # what is before it has left the server
        self.rest: Rest | None = None
        self.ending: StreamEnd | None = None
        self.finished = False
        self.released = False
        self.gone = False  # nothing more of it is written
        self.leases = Leases(by)
        self.rewritten = 0
        log.attach(self)

    # -- as `OwnedStream`

    def begin(self, meta: StreamMeta, keep_seconds: float) -> None:
        self.meta = meta
        self.keep_ms = int(keep_seconds * 1000)
        self.version += 1
        if not self.starts and self.log.end < self.written:
            self.take_back()
        self.mark(self)

    def taken_up(self, end: int) -> None:
        """The log of the node before is there, up to a position."""
        self.starts = False
        self.written = self.sent = self.epoch_begin = end

    def update(self, meta: StreamMeta) -> None:
        self.meta = meta
        self.version += 1
        self.mark(self)

    def end(self, end: StreamEnd, keep_seconds: float) -> None:
        self.ending = end
        self.keep_ms = int(keep_seconds * 1000)
        self.mark(self)

    def release(self) -> None:
        self.released = True
        self.version += 1
        self.mark(self)

    def drop(self) -> None:
        self.gone = True
        self.log.attach(None)
        self.mark(self)

    # -- as `LogWriter`

    def log_grew(self) -> None:
        if self.meta is not None and not self.gone:
            self.mark(self)

    def log_rolled_back(self) -> None:
        if not self.gone and self.log.end < max(self.written, self.sent):
            self.take_back()
            self.log_grew()

    def take_back(self) -> None:
        """The end of what is there is not of the stream any more."""
        begin = self.log.end
        if self.epoch > self.stored_epoch:  # nor was what came since the last time
            begin = min(begin, self.epoch_begin)
        self.epoch_begin = begin
        self.start_again(self.epoch + 1)

    def log_closes(self) -> None:
        """Keep what is not written yet, if that is all that is missing."""
        if self.gone or self.finished:
            return
        log = self.log
        start = self.first_position() if self.starts else self.written
        size = log.end - start
        if start < log.first or size > REST_BYTES or not self.ends_here:
            self.drop()
            return
        events, cut = log.events_before(start), int(log.is_cut(start))
        self.rest = Rest(start, log.read(start, size), events, cut)

    @property
    def ends_here(self) -> bool:
        """Does nothing come behind what is in the log? It ended, or was released."""
        return self.ending is not None or self.released

    def first_position(self) -> int:
        """Where the log begins if it is written from its start."""
        first = self.log.cut_at_or_after(self.log.first)
        return self.log.first if first is None else first

    # -- what there is to write

    def start_again(self, epoch: int) -> None:
        """Write it from its beginning, since what is there is not what it is."""
        self.epoch = epoch
        self.starts = True

    @property
    def readers(self) -> int:
        """Nodes that follow it."""
        return len(self.leases.until)

    @property
    def log_end(self) -> int:
        """Up to where there is something to write."""
        return self.log.end if self.rest is None else self.rest.end

    @property
    def unwritten(self) -> int:
        """How many bytes are not in the server yet."""
        if self.gone or self.meta is None:
            return 0
        if self.rest is not None:
            return self.rest.end - max(self.rest.start, self.written)
        first = self.log.first
        return self.log.end - (first if self.starts else max(first, self.written))

    @property
    def is_behind(self) -> bool:
        """Is there more to write than one entry holds?"""
        return self.unwritten > ENTRY_BYTES

    @property
    def has_more(self) -> bool:
        """Is there something to write, beside bytes of the log?"""
        return (
            self.known_version != self.version
            or self.released
            or self.ending is not None
        )

    @property
    def is_written(self) -> bool:
        """Is there nothing left to do?"""
        return self.gone or self.finished or self.meta is None

    def next_step(self, keys: Keys, sealing: Sealing, most: int) -> Step | None:
        """What to write next, with up to `most` bytes of the log."""
        if self.is_written or self.meta is None:
            return None
        if self.place is None:
            self.place = ServerPlace(
                sealing.stream_name(self.id), sealing.of_stream(self.id)
            )
        log, rest = self.log, self.rest
        log.clean = True  # what comes from now on is for the next flush
        if rest is None and not self.starts and log.first > self.written:
            self.start_again(self.epoch)
            self.rewritten += 1
        start = self.start_item(keys) if self.starts else None
        begin = end = self.sent if start is not None else self.written
        append = None
        if begin < self.log_end and most:
            end = min(self.log_end, begin + min(ENTRY_BYTES, most))
            if rest is None and end < log.end:
                end = log.cut_before(end, begin)
            append = self.append_item(keys, begin, end)
        change = None
        if start is None and self.known_version != self.version and not self.released:
            change = self.change_item(keys, self.node)
        finish = None
        if end == self.log_end:
            if self.ending is not None:
                finish = self.finish_item(keys, end, self.ending)
            elif self.released:
                change = self.change_item(keys, b"")
        if start is append is change is finish is None:
            return None
        self.sent = end
        return Step(
            self.generation,
            self.epoch,
            (start, append, change, finish),
            end - begin,
            end,
            self.version,
        )

    def start_item(self, keys: Keys) -> Item:
        """For START. Where it begins is in `sent` afterwards."""
        assert self.place is not None
        if self.rest is None:
            position = self.first_position()
            events = self.log.events_before(position)
            cut = int(self.log.is_cut(position))
        else:
            position, _, events, cut = self.rest
        self.generation += 1
        self.known_place = NOWHERE
        self.sent = self.trimmed = position
        name = self.place.name
        arguments: list[Argument] = [
            self.epoch,
            self.node,
            self.generation,
            self.sealed_meta(),
            self.version,
            RUNNING,
            position,
            events,
            cut,
            self.keep_ms + SPARE_MS,
            self.epoch_begin,
        ]
        names = [
            keys.meta(name),
            keys.log(name, self.epoch),
            keys.log(name, self.stored_epoch),
        ]
        return names, arguments

    def append_item(self, keys: Keys, begin: int, end: int) -> Item:
        """For APPEND, of the bytes from `begin` on."""
        assert self.place is not None
        log, first = self.log, b""
        if self.rest is None:
            data = log.read(begin, end - begin)
            known, events, cut = self.known_place
            if known != begin:
                events, cut = log.events_before(begin), int(log.is_cut(begin))
            self.known_place = log.known_end() if end == log.end else NOWHERE
            if log.first > self.trimmed:
                self.trimmed = log.first
                first = b"%d" % log.first
        else:
            start, rest, events, cut = self.rest
            data = rest[begin - start : end - start]
            if begin != start:
                events, cut = -1, 0
        sealed = self.place.seal.seal_content(data, end)
        key = keys.log(self.place.name, self.epoch)
        return [key], [end, sealed, events, cut, first]

    def change_item(self, keys: Keys, owner: bytes) -> Item:
        """For CHANGE."""
        assert self.place is not None
        key = keys.meta(self.place.name)
        return [key], [self.epoch, self.node, self.sealed_meta(), self.version, owner]

    def finish_item(self, keys: Keys, end: int, ending: StreamEnd) -> Item:
        """For FINISH, behind the last byte."""
        assert self.place is not None
        name = self.place.name
        sealed = self.place.seal.seal(encode_end(ending), b"end")
        state = ending.state.encode("ascii")
        most = max(self.keep_ms, LEAST_MS)
        names = [keys.meta(name), keys.log(name, self.epoch)]
        return names, [self.epoch, self.node, end, sealed, state, most]

    def sealed_meta(self) -> bytes:
        """What is known of it."""
        assert self.place is not None
        assert self.meta is not None
        sealed: bytes = self.place.seal.seal(encode_meta(self.meta), b"meta")
        return sealed

    def refresh_item(self, keys: Keys) -> Item | None:
        """For REFRESH, if it is there."""
        if self.place is None or self.starts or self.gone or self.finished:
            return None
        name = self.place.name
        names = [keys.meta(name), keys.log(name, self.epoch)]
        return names, [self.epoch, self.node, self.keep_ms + SPARE_MS]

    # -- what has become of it

    def take_results(self, step: Step, words: Sequence[bytes]) -> bool:
        """A step was run, with these results of its parts; b"": it had none.

        False: another node has it.
        """
        start, append, change, finish = words
        if LOST in (start, change, finish):
            self.lose()
            return False
        if self.generation != step.generation:
            return True
        if start == BURIED:  # what others have read of it holds
            self.epoch_begin = self.log_end
            self.start_again(step.epoch + 1)
            return True
        if start == DONE:
            self.stored_epoch = step.epoch
            if self.stored_epoch != self.epoch:
                return True  # its end was taken back meanwhile
            self.starts = False
        elif self.starts:
            return True
        if MISSING in (append, change, finish):
            self.look_again()
            return True
        self.written = step.end
        if start == DONE or change == DONE:
            self.known_version = step.version
        released = self.released and change == DONE and step.version == self.version
        if finish == DONE or released:
            self.finished = True
            self.log.attach(None)
            self.rest = None
        return True

    def lose(self) -> None:
        """Another node has it."""
        self.gone = True
        self.log.attach(None)
        try:
            self.by.lost()
        except Exception as error:
            report("a stream that another node has taken up", error)

    def forget_place(self) -> None:
        """The secret is another one, so all that is there is of no use."""
        self.place = None
        self.look_again()

    def look_again(self) -> None:
        """It may not be there any more."""
        self.start_again(self.epoch)
        self.rewritten += 1
