"""The store that several processes share: what it can do, and what it tells them.

Each process is a node. A stream has one owner, the node that has its upstream; other
nodes follow it. What the owner's log holds is written behind: a store that is slow,
full or gone delays no live stream. Knows nothing of the server that it is kept in.

Positions count bytes from the first byte of a stream, as in `StreamLog`. An epoch is
the time for which one log holds what a stream is: a further one begins where another
node takes the stream up, or the owner takes back an event that is not complete.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from proxy.http1.grammar import Fields
from proxy.kept.stored_log import StoredLog


class StoreUnavailable(Exception):
    """The store is down, or has not answered in time. As if there were none."""


class StreamMeta(NamedTuple):
    """What a node has to know of a stream to serve it, and to take it up."""

    id: bytes
    route: str  # its prefix
    resumes: bool
    shares: bool
    print: bytes  # of the fields that bind it to a client
    names: list[tuple[str, str, bytes, bytes]]  # kind, route, value, who
    # Of the request for which it was made:
    method: bytes
    target: bytes
    reconnects: bool
    # Of the response, as its clients get it:
    status: int
    reason: bytes
    minor: int
    fields: Fields
    # See `Delivery`; `format` is the name of a `Format`.
    codings: tuple[str, ...]
    format: str | None
    stream: bool
    length: int | None  # of the whole body, if that is known
    ours: bool  # its events have ids of ours
    numbered: bool  # its upstream numbers its events


class StreamEnd(NamedTuple):
    """How a stream has ended: its state, and the failure as `PeerReport` has it."""

    state: str
    kind: str = ""
    text: str = ""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    # What the clients get behind the last byte of the log, and is it a clean end?
    last_piece: bytes = b""
    clean: bool = True


class StoredStream(NamedTuple):
    """A stream in the store. `alive`: its owner shows signs of life.

    `meta`: None as long as its head is not here.
    """

    meta: StreamMeta | None
    owner: str  # "": it was released, and may be taken up
    epoch: int
    state: str
    alive: bool


class MissingStream(NamedTuple):
    """What is known of a stream that is not in the store."""

    maker_alive: bool  # does the node that has made its ID show signs of life?
    store_seconds: float | None  # for which the server has been running, if it says so


class StoreState(NamedTuple):
    """How the store stands. `reason`: why it is down. `since`: by `monotonic`."""

    up: bool
    reason: str
    since: float
    unwritten: int  # bytes of owned streams that are not in the store yet
    owned: int  # streams
    followed: int
    written: int  # bytes so far
    read: int
    outages: int  # so far
    rewritten: int  # logs that were written again from their beginning, so far
    taken: int  # streams of other nodes that were taken up, so far
    lost: int  # streams that other nodes have taken up, so far


class OwnedBy(Protocol):
    """Who owns a stream, as the store sees it. Called from turns of the loop."""

    def readers_changed(self, readers: int) -> None:
        """So many nodes follow the stream now."""

    def stop_asked(self) -> None:
        """A client of another node has asked for its end."""

    def lost(self) -> None:
        """Another node has it now. Nothing more of it is written."""

    def superseded(self, kind: str, route: str, value: bytes, who: bytes) -> None:
        """A stream of another node has one of its names now."""


class OwnedStream(Protocol):
    """A stream of this node in the store. None of it ever raises or waits."""

    log: StoredLog

    @property
    def readers(self) -> int:
        """How many nodes follow it."""

    def begin(self, meta: StreamMeta, keep_seconds: float) -> None:
        """Write it from now on, beginning with what is in the log.

        `keep_seconds`: how long it may be found after the node has died.
        """

    def update(self, meta: StreamMeta) -> None:
        """Something of it has changed."""

    def end(self, end: StreamEnd, keep_seconds: float) -> None:
        """It has ended; it is kept for so long from now on."""

    def release(self) -> None:
        """Give it up on purpose: a node that follows it may take it up at once."""

    def drop(self) -> None:
        """Delete it: it is not kept, was stopped, or has expired."""


class Feed(Protocol):
    """Who follows a stream. Called from turns of the loop, in the stream's order."""

    def data(
        self, position: int, data: bytes, events_before: int, at_cut: bool
    ) -> None:
        """What comes next; the first time, it begins where the log in the store does.

        `position`: of its first byte. `events_before`: how many events end up to
        there; -1 if that is not known. `at_cut`: an event begins there.
        """

    def caught_up(self) -> None:
        """All that was there when it was followed has been told. Called once.

        If its owner was dead by then, `owner_died` follows in the same turn.
        """

    def changed(self, meta: StreamMeta) -> None:
        """What is known of it: before the first data, and when it has changed."""

    def ended(self, end: StreamEnd) -> None:
        """That was all. Nothing else is told afterwards."""

    def owner_died(self, epoch: int) -> None:
        """The owner has died or has released it; told once, until `owner_back`.

        All data that it has written came before.
        """

    def owner_back(self, epoch: int) -> None:
        """The owner was only away, and goes on; or the store was, and nobody knows."""

    def moved(self, epoch: int, position: int) -> None:
        """It goes on from a position, in another epoch.

        What the feed has behind that position is not of the stream any more.
        """

    def declined(self) -> None:
        """It will not be kept. Nothing else is told afterwards."""

    def damaged(self, reason: str) -> None:
        """It cannot be followed any more. Nothing else is told afterwards."""


class Following(Protocol):
    """That this node follows a stream."""

    @property
    def is_behind(self) -> bool:
        """Is more of it to be read, as soon as it is its turn?"""

    @property
    def is_doubtful(self) -> bool:
        """Were there no signs of life of its owner lately? It is soon known why."""

    def close(self) -> None:
        """Follow it no more. May be called by the feed, and more than once."""


class SharedStore(Protocol):
    """The store, as one node has it."""

    node: str

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def secret(self) -> bytes:
        """Of the fingerprints of all nodes; b"" before it has first answered."""

    async def open(self) -> None:
        """Connect, for a short time; goes on trying afterwards. Never raises."""

    async def close(self) -> None:
        """Write what is left, for a short time. Never raises."""

    # -- owners

    def announce(self, id: bytes, by: OwnedBy) -> None:
        """This node will have a stream, whose head is not here yet."""

    def renounce(self, id: bytes) -> None:
        """What was announced will not be kept."""

    def own(
        self, id: bytes, by: OwnedBy, log: StoredLog, epoch: int = 1
    ) -> OwnedStream:
        """Have a stream of this node in the store; written once it has begun.

        `epoch`: of a stream that was taken up, one more than `claim` was asked with.
        Then the log may already hold what is in the store.
        """

    async def claim(self, id: bytes, epoch: int) -> int | None:
        """Take up the stream of an owner that has died; None: another was quicker.

        Returns where it ends in the store. What follows it here has been told all up to
        there, and is closed. May be asked again if it was not available: also if this
        node has it by then, and only did not hear so.

        Raises:
            StoreUnavailable: nothing is known of who has it.
        """

    def bury(self, id: bytes, epoch: int, end: StreamEnd, keep_seconds: float) -> None:
        """Its owner has died in an epoch, and nobody can take it up: it has ended.

        Who asks for it from now on learns that. In vain if its owner lives after all,
        or another node has taken it up. `epoch` 0: it has no head, and is forgotten.
        """

    # -- followers

    def follow(
        self, id: bytes, position: int | None, feed: Feed, behind: int = 0
    ) -> Following:
        """Be told of a stream from a position on; None: from the first byte there is.

        `behind`: of a stream with ids of ours, what stands before the end of that event
        is not needed. As much of it as comes with the rest is told all the same.

        It need not be in the store yet, if its ID comes from `elect`.
        """

    async def find(self, id: bytes) -> StoredStream | None:
        """A stream by its ID.

        Raises:
            StoreUnavailable: it is not known whether there is one.
        """

    async def why_missing(self, id: bytes) -> MissingStream:
        """What is known of a stream that was not found.

        Raises:
            StoreUnavailable: nothing.
        """

    def stop(self, id: bytes) -> None:
        """Tell the owner that a client has asked for its end."""

    # -- names, as in `KeptStreams`

    def name(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes, seconds: float
    ) -> None:
        """Give a stream of this node a name.

        It lasts as long as the node and the stream run, and `seconds` more.
        """

    def unname(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        """Take a name from a stream, if it has it."""

    def supersede(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        """Take a name of a stream from all that had it before; they are told."""

    async def find_name(
        self, kind: str, route: str, value: bytes, who: bytes
    ) -> list[bytes]:
        """The IDs of all streams of that name, the newest last.

        Raises:
            StoreUnavailable: they are not known.
        """

    async def elect(
        self, kind: str, route: str, value: bytes, who: bytes, id: bytes
    ) -> bytes:
        """Give a stream a name that only one can have; the ID of who has it now.

        If that is `id`, this node has it until `unname`, or until it dies; `name`
        afterwards says how long it lasts beyond the end of the stream.

        Raises:
            StoreUnavailable: it is not known who has it.
        """

    # -- notes: short texts that outlive the node that has made them

    def remember(self, kind: str, key: bytes, text: bytes, seconds: float) -> None:
        """Note a text for so long, in place of another one; 0 s: forget it.

        Written behind, and lost while the store is down.
        """

    async def recall(self, kind: str, key: bytes) -> bytes | None:
        """The text that any node has noted, if it is still there.

        Raises:
            StoreUnavailable: it is not known.
        """

    # -- how it stands

    def state(self) -> StoreState:
        """For readiness, metrics and the inspector."""
