"""Where the kept and shared streams of one worker are found.

By their ID, and by names: the application's key, an Idempotency-Key, what a shared
stream is a stream of, and the request whose stream numbers its events. A name belongs
to a client: it is looked up with the fingerprint of the fields that have to be the
same, so what one client calls its own is not found by another.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from proxy.internal_errors import report
from proxy.kept.shared_store import SharedStore
from proxy.kept.store import MemoryStore

# Streams that are gone are remembered by their ID, to say so of them.
REMEMBERED = 10_000
# How often a client is asked to come back for a stream of which the store says nothing,
# before it gets another one: by an EventSource's pause of 3 s, in the 15 s for which
# clients wait for a store that is down.
MOST_IN_VAIN = 5


class Name(NamedTuple):
    """What a stream is asked for by. `kind` is one of those below."""

    kind: str
    route: str
    value: bytes


KEY, IDEMPOTENCY_KEY, GROUP, EVENTS = "key", "idempotency key", "group", "events"


class Kept(Protocol):
    """A stream as the registry sees it."""

    id: bytes
    names: list[tuple[Name, bytes]]  # each with a fingerprint

    @property
    def is_ended(self) -> bool:
        """Has its upstream ended?"""

    def superseded(self) -> None:
        """Another stream has one of its names now."""

    def unnamed(self, name: Name, who: bytes) -> None:
        """It has a name no longer."""

    def expire(self) -> None:
        """Its room is needed: let go of what is kept."""

    def close(self) -> None:
        """The process ends."""


class NameWatcher(Protocol):
    """Hears of the applications' keys of this worker's streams."""

    def named(self, name: Name, who: bytes, id: bytes) -> None:
        """A stream has a name."""

    def unnamed(self, name: Name, who: bytes, id: bytes) -> None:
        """A stream has a name no longer."""

    def supersedes(self, name: Name, who: bytes, id: bytes) -> None:
        """Those that had a name of a stream before it have it no longer."""


K = TypeVar("K", bound=Kept)
Holders: TypeAlias = dict[bytes, list[K]]


class Counts:
    """What has happened so far; for metrics."""

    __slots__ = ("expired", "kept", "refused", "resumed", "shared")

    def __init__(self) -> None:
        self.kept = 0  # streams
        self.shared = 0  # clients that joined a stream of another
        self.expired = 0  # streams that nobody came back for
        self.resumed: dict[str, int] = {}  # by the way it was asked for
        self.refused: dict[str, int] = {}  # by the reason


class KeptStreams(Generic[K]):
    """All of one worker. A reload does not change it."""

    __slots__ = (
        "arriving",
        "closing",
        "counts",
        "draining",
        "gone",
        "in_vain",
        "named",
        "own_secret",
        "shared",
        "store",
        "streams",
        "unread",
        "watcher",
        "worker",
    )

    def __init__(self, max_bytes: int, worker: int, secret: bytes) -> None:
        self.store = MemoryStore(max_bytes, self.evict)
        self.worker = worker
        self.own_secret = secret  # of the fingerprints, the same in all workers
        self.streams: dict[bytes, K] = {}  # by ID, the oldest first
        self.named: dict[Name, dict[bytes, list[K]]] = {}
        self.gone: dict[bytes, None] = {}
        self.in_vain: dict[bytes, int] = {}  # how often the store was asked, by ID
        self.arriving: dict[bytes, K] = {}  # of other nodes: what is asked of them
        self.unread: dict[K, None] = {}  # without a client, the longest first
        self.counts = Counts()
        self.draining = False  # other nodes may still read what is in the store
        self.closing = False
        self.watcher: NameWatcher | None = None  # where there are other workers
        self.shared: SharedStore | None = None  # what other processes have, too

    @property
    def secret(self) -> bytes:
        """Of the fingerprints: of all nodes, where there are others."""
        shared = self.shared
        if shared is None:
            return self.own_secret
        return shared.secret or self.own_secret

    @property
    def node(self) -> str:
        """This process among those that share a store; "": there is none."""
        return "" if self.shared is None else self.shared.node

    @property
    def store_is_down(self) -> bool:
        """Do others perhaps have streams of which nothing can be known now?"""
        return self.shared is not None and not self.shared.up

    def asked_in_vain(self, id: bytes) -> bool:
        """The store has not said whether there is a stream: is it to be asked again?"""
        times = self.in_vain.pop(id, 0) + 1
        if times > MOST_IN_VAIN:
            return False
        self.in_vain[id] = times
        if len(self.in_vain) > REMEMBERED:
            del self.in_vain[next(iter(self.in_vain))]
        return True

    # -- what is kept

    def add(self, stream: K) -> None:
        """Keep a stream; it is found by its ID from now on."""
        self.streams[stream.id] = stream
        self.counts.kept += 1

    def take_in(self, stream: K) -> None:
        """Have a stream found by its ID that another node keeps."""
        self.streams[stream.id] = stream

    def remove(self, stream: K) -> None:
        """Keep it no longer, and forget its names."""
        if self.lose(stream):
            self.gone[stream.id] = None
            if len(self.gone) > REMEMBERED:
                del self.gone[next(iter(self.gone))]

    def lose(self, stream: K) -> bool:
        """Keep it no longer: another node has it. True: it was kept."""
        self.unread.pop(stream, None)
        for name, owner in tuple(stream.names):
            self.unname(stream, name, owner)
        if self.streams.get(stream.id) is not stream:
            return False
        del self.streams[stream.id]
        return True

    def name(self, stream: K, name: Name, owner: bytes, *, alone: bool = True) -> None:
        """Give a stream a name; with `alone`, take it from the one that had it."""
        holders = self.named.setdefault(name, {})
        before = holders.get(owner, [])
        stream.names.append((name, owner))
        if name.kind == KEY and self.watcher is not None:
            self.watcher.named(name, owner, stream.id)
        if not alone:
            holders[owner] = [*before, stream]
            return
        holders[owner] = [stream]
        for each in before:
            if each is not stream:
                self.superseded(each, name, owner)

    def supersede(self, stream: K, kind: str) -> None:
        """Take the names of a kind that a stream has from those that had them before.

        Not when it gets them: it may turn out to be no stream.
        """
        for name, owner in tuple(stream.names):
            if name.kind != kind:
                continue
            holders = self.named[name]
            at = holders[owner].index(stream)
            before = holders[owner][:at]
            holders[owner] = holders[owner][at:]
            for each in before:
                self.superseded(each, name, owner)
            if kind == KEY and self.watcher is not None:
                self.watcher.supersedes(name, owner, stream.id)

    def superseded(self, stream: K, name: Name, owner: bytes) -> None:
        """A stream has lost a name to another one."""
        stream.names.remove((name, owner))
        stream.unnamed(name, owner)
        if name.kind == KEY and self.watcher is not None:
            self.watcher.unnamed(name, owner, stream.id)
        stream.superseded()

    def lose_name(self, name: Name, owner: bytes, id: bytes) -> None:
        """A stream of another worker has the name of one of this worker now."""
        for each in tuple(self.find_all(name, owner)):
            if each.id == id:
                self.unname(each, name, owner)
                each.superseded()

    def unname(self, stream: K, name: Name, owner: bytes) -> None:
        """Take a name from a stream, if it has it."""
        if (name, owner) not in stream.names:
            return
        stream.names.remove((name, owner))
        stream.unnamed(name, owner)
        if name.kind == KEY and self.watcher is not None:
            self.watcher.unnamed(name, owner, stream.id)
        holders = self.named.get(name)
        if holders is None:
            return
        left = [each for each in holders.get(owner, []) if each is not stream]
        if left:
            holders[owner] = left
            return
        holders.pop(owner, None)
        if not holders:
            del self.named[name]

    # -- what is found

    def find(self, name: Name, owner: bytes) -> K | None:
        """The newest stream of that name, of that owner."""
        found = self.find_all(name, owner)
        return found[-1] if found else None

    def find_all(self, name: Name, owner: bytes) -> list[K]:
        """All streams of that name, of that owner; the newest last."""
        holders = self.named.get(name)
        return [] if holders is None else holders.get(owner, [])

    def is_taken(self, name: Name) -> bool:
        """Has anybody a stream of that name?"""
        return name in self.named

    # -- accounts

    def resumed(self, way: str) -> None:
        """A client has taken a stream up."""
        self.counts.resumed[way] = self.counts.resumed.get(way, 0) + 1

    def refused(self, reason: str) -> None:
        """A stream was not kept, or a client did not get one."""
        self.counts.refused[reason] = self.counts.refused.get(reason, 0) + 1

    # -- the end

    def make_room(self, most: int) -> None:
        """Have no more than so many upstreams read on without a client."""
        while len(self.unread) > most:
            stream = next(iter(self.unread))
            del self.unread[stream]
            stream.expire()

    def evict(self) -> bool:
        """Let go of the ended stream that is the oldest; False: there is none."""
        for stream in self.streams.values():
            if stream.is_ended:
                stream.expire()
                return True
        return False

    def all_streams(self) -> list[K]:
        """Those that are kept, and those whose head is not here yet."""
        found = dict(self.streams)
        for holders in self.named.values():
            for streams in holders.values():
                for stream in streams:
                    found[stream.id] = stream
        return list(found.values())

    def drain(self) -> None:
        """The process is about to end: nobody can come back, but to other nodes."""
        self.draining = True
        if self.shared is None:
            self.closing = True
        self.close_streams()

    def close(self) -> None:
        """The process ends."""
        self.draining = self.closing = True
        self.close_streams()

    def close_streams(self) -> None:
        """End what nobody can come back for."""
        for stream in self.all_streams():
            try:
                stream.close()
            except Exception as error:
                report("ending a kept stream", error)
