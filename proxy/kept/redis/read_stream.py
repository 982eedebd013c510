"""One stream of another node that this one follows.

All that is told of it comes from its log in the server, in the order of positions. What
messages say is only that it is time to look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.records import Malformed, decode_end, decode_meta
from proxy.kept.redis.sealing import SealBroken, Sealing, StreamSeal
from proxy.kept.redis.written_stream import RUNNING
from proxy.kept.shared_store import Feed, StreamMeta

WAITING: Final = b"waiting"
BEGIN, DATA, END = b"1", b"0", b"2"  # behind the position, in the id of an entry
MISSING_SECONDS: Final = 15.0  # that an owner has to write what is gone again
GONE: Final = "it is no longer in the store"
BOTH_GONE: Final = f"the process that had it has died, and {GONE}"


class Damaged(Exception):
    """The stream cannot be followed any more."""


class ReadStream:
    """As `Following`. `position`: up to where it was told; None: nothing yet.

    `behind`: the event before whose end nothing is needed.
    """

    def __init__(
        self,
        id: bytes,
        position: int | None,
        feed: Feed,
        leave: Callable[[ReadStream], None],
        behind: int,
    ) -> None:
        self.id = id
        self.position = position
        self.feed = feed
        self.leave = leave
        self.behind = behind
        self.name = b""  # in the server
        self.seal: StreamSeal | None = None
        self.entry = b"0-0" if position is None else b"%d-1" % position
        self.epoch = 1
        self.owner = b""
        self.version = b""  # of what is known of it; b"": nothing
        self.meta: StreamMeta | None = None
        self.told_dead = -1  # the last epoch whose owner was told to be dead
        self.suspect = False  # the owner seems to be dead
        self.doubted = False  # it may be: the next look at it will tell
        self.missing_since: float | None = None
        self.ended_unseen = 0  # looks that found an end without its entry
        self.claiming = False
        self.caught_up = False  # all is told that was there at first
        self.is_behind = False  # it waits for its turn to be read
        self.closed = False
        self.bytes = 0
        self.untold: list[bytes] = []  # of the entries of one read, told as one piece
        self.untold_from = (0, -1, False)  # as `Feed.data` has it

    @property
    def is_doubtful(self) -> bool:
        return self.doubted

    def close(self) -> None:
        """Follow it no more."""
        if not self.closed:
            self.closed = True
            self.leave(self)

    def find_name(self, sealing: Sealing) -> bytes:
        """What it is called in the server, by the secret that holds now."""
        self.name = sealing.stream_name(self.id)
        self.seal = sealing.of_stream(self.id)
        return self.name

    def read_item(self, keys: Keys, most: int) -> Item:
        """For READ."""
        names = [keys.meta(self.name), keys.log(self.name, self.epoch)]
        behind = self.behind if self.position is None else 0
        return names, [self.entry, most, self.version, behind]

    # -- what was found

    def take(self, found: list[Any], most: int) -> bool:
        """Tell what is new; True if there may be more."""
        _, entries, epoch, owner, state, start, version, sealed = found
        try:
            if sealed:
                self.learn(sealed, version)
            self.missing_since = None
            self.owner = owner
            if int(epoch) != self.epoch:
                self.move(int(epoch), int(start))
                return not self.closed
            if not self.take_entries(entries):
                return False
            if entries:
                self.owner_is_back()
            if len(entries) < most and not self.doubted:
                if entries and (self.suspect or not owner):
                    return True  # there is its end to be told of, too
                self.catch_up()
                if self.closed:
                    return False
        except (Damaged, SealBroken, Malformed) as fault:
            self.give_up(str(fault) or "it was sealed by another key")
            return False
        if entries:
            return self.suspect or len(entries) >= most
        self.check_end(state, owner)
        return False

    def learn(self, sealed: bytes, version: bytes) -> None:
        """What is known of it has changed."""
        assert self.seal is not None
        meta = decode_meta(self.seal.open(sealed, b"meta"))
        self.version = version
        if meta != self.meta:
            self.meta = meta
            self.feed.changed(meta)

    def move(self, epoch: int, start: int) -> None:
        """Another log has it now."""
        known = self.epoch if self.position is not None else None
        self.epoch = epoch
        self.suspect = False
        if known is not None and self.position is not None:
            self.position = min(self.position, start)
            self.entry = b"%d-1" % self.position
            self.feed.moved(epoch, self.position)

    def take_entries(self, entries: list[Any]) -> bool:
        """What one read has found in the log; False: that was the end.

        Raises:
            Damaged, SealBroken, Malformed: the stream cannot be followed any more; what
                comes before that is told.
        """
        try:
            for id, fields in entries:
                self.take_entry(id, fields)
                if self.closed:
                    return False
        finally:
            self.tell_data()
        return not self.closed

    def take_entry(self, id: bytes, fields: list[bytes]) -> None:
        """One entry of the log.

        Raises:
            Damaged, SealBroken, Malformed: the stream cannot be followed any more.
        """
        number, _, kind = id.partition(b"-")
        end, values = int(number), dict(zip(fields[::2], fields[1::2], strict=True))
        self.entry = id
        if kind == DATA:
            self.take_data(end, values)
        elif kind == BEGIN:
            if self.position is None:
                self.position = end
            elif end > self.position:
                raise Damaged("a part of it is no longer kept")
        elif kind == END:
            if end != self.position and self.position is not None:
                raise Damaged("its end is missing in the store")
            self.tell_data()
            assert self.seal is not None
            ended = decode_end(self.seal.open(values[b"x"], b"end"))
            self.catch_up()
            if not self.closed:
                self.close()
                self.feed.ended(ended)

    def catch_up(self) -> None:
        """All is told that was there when it was followed."""
        if not self.caught_up:
            self.caught_up = True
            self.feed.caught_up()

    def take_data(self, end: int, values: dict[bytes, bytes]) -> None:
        """What comes next, or has come already."""
        assert self.seal is not None
        data = self.seal.open_content(values[b"d"], end)
        begin = end - len(data)
        position = begin if self.position is None else self.position
        if begin > position:
            raise Damaged("a part of it is no longer kept")
        if end <= position:
            return
        events, cut = int(values[b"n"]), values[b"c"] == b"1"
        if begin < position:
            data = data[position - begin :]
            events, cut = -1, False
        if not self.untold:
            self.untold_from = (position, events, cut)
        self.untold.append(data)
        self.position = end
        self.bytes += len(data)

    def tell_data(self) -> None:
        """Tell the feed what has been read.

        As one piece: who joins a long stream has many entries to catch up with.
        """
        if self.untold and not self.closed:
            data = b"".join(self.untold)
            self.untold.clear()
            position, events, cut = self.untold_from
            self.feed.data(position, data, events, cut)

    def check_end(self, state: bytes, owner: bytes) -> None:
        """All was told that there is: is more to come?"""
        if state == WAITING:
            if self.suspect and self.told_dead < 0:
                self.told_dead = 0
                self.feed.owner_died(0)
        elif state != RUNNING:
            self.ended_unseen += 1
            if self.ended_unseen > 2:
                self.give_up(GONE)
        elif (self.suspect or not owner) and self.told_dead < self.epoch:
            self.told_dead = self.epoch
            self.feed.owner_died(self.epoch)

    def owner_is_back(self) -> None:
        """Whoever was told that the owner is dead is told that it is not."""
        if self.told_dead == self.epoch:
            self.told_dead = -1
            self.feed.owner_back(self.epoch)

    def owner_seen(self) -> None:
        """The owner shows signs of life, or does so again."""
        if self.suspect and not self.closed:
            self.suspect = False
            self.contained(self.owner_is_back)

    def has_no_owner(self) -> None:
        """It is this node's by a claim whose answer was lost: it has to claim again."""
        if self.told_dead < self.epoch:
            self.told_dead = self.epoch
            self.contained(lambda: self.feed.owner_died(self.epoch))

    def is_missing(self, now: float, *, owner_dead: bool) -> None:
        """It is not in the server."""
        if self.missing_since is None:
            self.missing_since = now
        if owner_dead:
            self.give_up(BOTH_GONE)
        elif now - self.missing_since > MISSING_SECONDS:
            self.give_up(GONE)

    def decline(self) -> None:
        """It will not be kept."""
        if not self.closed:
            self.close()
            self.contained(self.feed.declined)

    def is_awaited(self) -> None:
        """Its node has not announced it yet."""
        self.contained(self.catch_up)

    def home_died(self) -> None:
        """The node has died that was about to have it."""
        if not self.closed:
            self.close()
            self.contained(lambda: self.feed.owner_died(0))

    def give_up(self, reason: str) -> None:
        """It cannot be followed any more."""
        if not self.closed:
            self.close()
            self.contained(lambda: self.feed.damaged(reason))

    def contained(self, tell: Callable[[], None]) -> None:
        """Tell the feed; what it raises ends nothing."""
        try:
            tell()
        except Exception as error:
            report("a stream of another node", error)
