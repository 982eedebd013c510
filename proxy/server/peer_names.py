"""Keys of applications and sessions of targets, known to all workers.

See `kept.name_directory` and `kept.session_table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from proxy.errors import ClientError, ProxyError, StreamStopped
from proxy.http1.grammar import Fields
from proxy.internal_errors import report
from proxy.kept.name_directory import NameDirectory, StreamPlace
from proxy.kept.registry import KEY, KeptStreams, Name
from proxy.kept.session_table import DIGEST_BYTES, SessionTable
from proxy.server.peer_link import PeerLink
from proxy.timeline import Clock
from proxy.transport.client_host import HostedStream

What: TypeAlias = Literal[
    "named",
    "unnamed",
    "supersedes",
    "superseded",
    "stopped",
    "sessions",
    "sessions over",
    "healthy",
    "unhealthy",
]
# Sessions in one message: after a restart a worker is told of all, and may serve
# between two messages.
MOST_IN_ONE = 512


class Message(msgspec.Struct, frozen=True):
    """What a worker is told of one stream, or of sessions.

    named, unnamed: it has a name, or has it no longer. supersedes: those that had the
    name before it have it no longer. superseded: it is one of them. stopped: its client
    has asked for its end. sessions, sessions over: those in `key`, one after the other,
    are of the target in `id`, or of none any more. healthy, unhealthy: what the check
    in `key` has found, with the reason in `id`.
    """

    what: What
    route: str
    key: bytes
    who: bytes
    id: bytes
    since: float = 0.0

    @property
    def name(self) -> Name:
        """The name."""
        return Name(KEY, self.route, self.key)


def message(
    what: What,
    name: Name,
    who: bytes,
    id: bytes,
    since: float = 0.0,
) -> Message:
    """A message about a stream."""
    return Message(what, name.route, name.value, who, id, since)


class Neighbourhood(Protocol):
    """The other workers."""

    @property
    def number(self) -> int:
        """Of this worker."""

    @property
    def count(self) -> int:
        """How many workers there are, this one included."""

    def path(self, worker: int) -> str:
        """The Unix socket of another worker."""

    def home(self, name: Name, who: bytes) -> int:
        """The worker that a name decides."""


class Checks(Protocol):
    """The health checks of this worker."""

    def unhealthy(self) -> Iterator[tuple[bytes, str]]:
        """The checks that fail, and why."""

    def hear(self, check: bytes, *, healthy: bool, reason: str) -> None:
        """Another worker has found a target to be healthy, or not."""


class PeerNames:
    """The keys of this worker's streams, and those of all that it has to know."""

    def __init__(
        self,
        peers: Neighbourhood,
        registry: KeptStreams[Any],
        sessions: SessionTable,
        checks: Checks,
        clock: Clock,
    ) -> None:
        self.peers = peers
        self.registry = registry
        self.sessions = sessions
        self.checks = checks
        self.clock = clock
        self.directory = NameDirectory()
        self.links: dict[int, PeerLink] = {}
        # Of this worker's streams, since when they have them.
        self.own: dict[tuple[Name, bytes, bytes], float] = {}
        self.feeds: dict[int, NameFeed] = {}
        self.closed = False

    # -- of this worker's streams: see `NameWatcher`

    def named(self, name: Name, who: bytes, id: bytes) -> None:
        """A stream has a name."""
        self.own[name, who, id] = since = self.clock()
        self.tell_home(message("named", name, who, id, since), in_state=True)

    def unnamed(self, name: Name, who: bytes, id: bytes) -> None:
        """A stream has a name no longer."""
        if self.own.pop((name, who, id), None) is not None:
            self.tell_home(message("unnamed", name, who, id), in_state=True)

    def supersedes(self, name: Name, who: bytes, id: bytes) -> None:
        """Those that had a name of a stream before it have it no longer."""
        self.tell_home(message("supersedes", name, who, id), in_state=False)

    def tell_home(self, told: Message, *, in_state: bool) -> None:
        """Tell the worker that the name decides."""
        home = self.peers.home(told.name, b"")
        if home == self.peers.number:
            self.hear(told, home)
        elif not self.closed:
            self.link(home).tell(encoded(told), in_state=in_state)

    def want_links(self, wanted: bool) -> None:
        """Be connected to all others before there is a key, if there may be one."""
        for worker in range(self.peers.count):
            if worker != self.peers.number and (wanted or worker in self.links):
                self.link(worker).want(wanted)

    def link(self, worker: int) -> PeerLink:
        """The connection to another worker."""
        link = self.links.get(worker)
        if link is None:

            def state() -> Iterator[bytes]:
                return self.state_for(worker)

            path = self.peers.path(worker)
            self.links[worker] = link = PeerLink(path, self.peers.number, state)
        return link

    def state_for(self, worker: int) -> Iterator[bytes]:
        """What a worker has to know of this one's streams."""
        for (name, who, id), since in self.own.items():
            if self.peers.home(name, b"") == worker:
                yield encoded(message("named", name, who, id, since))
        yield from all_sessions(self.sessions)
        for check, reason in self.checks.unhealthy():
            yield of_check(check, reason, healthy=False)

    # -- of targets: see `HealthWatcher`

    def health_changed(self, check: bytes, *, healthy: bool, reason: str) -> None:
        """A target has become healthy, or unhealthy: for all workers at once."""
        self.tell_all(of_check(check, reason, healthy=healthy), in_state=not healthy)

    # -- of sessions: see `SessionWatcher`

    def learned(self, session: bytes, target: bytes) -> None:
        """A target has made a session: any worker may be asked for it next."""
        self.tell_all(of_sessions("sessions", [session], target), in_state=True)

    def forgotten(self, session: bytes) -> None:
        """A session has ended."""
        self.tell_all(of_sessions("sessions over", [session], b""), in_state=False)

    def tell_all(self, told: bytes, *, in_state: bool) -> None:
        """Tell all other workers."""
        for worker in range(self.peers.count):
            if worker != self.peers.number and not self.closed:
                self.link(worker).tell(told, in_state=in_state)

    def hear_sessions(self, told: Message) -> None:
        """Another worker has learned of sessions."""
        for at in range(0, len(told.key), DIGEST_BYTES):
            session = told.key[at : at + DIGEST_BYTES]
            if told.what == "sessions":
                self.sessions.note(session, told.id)
            else:
                self.sessions.drop(session)

    # -- of those of all workers

    def hear(self, told: Message, worker: int) -> None:
        """A worker tells of one of its streams, or of one of this worker's."""
        if told.what in ("sessions", "sessions over"):
            self.hear_sessions(told)
            return
        if told.what in ("healthy", "unhealthy"):
            healthy, reason = told.what == "healthy", told.id.decode("utf-8", "replace")
            self.checks.hear(told.key, healthy=healthy, reason=reason)
            return
        name, who, directory = told.name, told.who, self.directory
        if told.what == "named":
            directory.add(name, who, StreamPlace(told.since, worker, told.id))
        elif told.what == "unnamed":
            directory.remove(name, who, told.id)
        elif told.what == "supersedes":
            for each in directory.supersede(name, who, told.id):
                self.tell_superseded(name, who, each)
        elif told.what == "superseded":
            self.registry.lose_name(name, who, told.id)
        else:
            for each in tuple(self.registry.find_all(name, who)):
                if each.id == told.id:
                    each.stop(StreamStopped("the stream was stopped by its client"))

    def stop(self, name: Name, who: bytes) -> None:
        """End the streams of a name that are known here.

        All of them: a second one does not replace the first before its head is here.
        """
        for each in tuple(self.directory.find_all(name, who)):
            told = message("stopped", name, who, each.id)
            if each.worker == self.peers.number:
                self.hear(told, each.worker)
            elif not self.closed:
                self.link(each.worker).tell(encoded(told), in_state=False)

    def tell_superseded(self, name: Name, who: bytes, place: StreamPlace) -> None:
        """Another stream has the name of one now."""
        if place.worker == self.peers.number:
            self.registry.lose_name(name, who, place.id)
        elif not self.closed:
            told = encoded(message("superseded", name, who, place.id))
            self.link(place.worker).tell(told, in_state=False)

    def keeper(self, name: Name, who: bytes) -> int:
        """Which worker to ask for a name: that which has it, or knows who has."""
        home = self.peers.home(name, b"")
        if home == self.peers.number:
            found = self.directory.find(name, who)
            return home if found is None else found.worker
        return home

    # -- connections of other workers

    def listen(self, client: HostedStream, worker: int) -> None:
        """Another worker begins to tell."""
        feed = NameFeed(self, client, worker)
        before, self.feeds[worker] = self.feeds.get(worker), feed
        if before is not None:
            before.close()
        self.directory.lose(worker)  # what follows is all that there is
        feed.begin()

    def over(self, feed: NameFeed) -> None:
        """A worker tells no more: it has ended, or begins anew."""
        if self.feeds.get(feed.worker) is feed:
            del self.feeds[feed.worker]
            self.directory.lose(feed.worker)

    def close(self) -> None:
        """The process ends."""
        self.closed = True
        for link in self.links.values():
            link.close()
        for feed in tuple(self.feeds.values()):
            feed.close()


class NameFeed:
    """What one worker tells: the body of a request that does not end."""

    blocked = False

    def __init__(self, names: PeerNames, client: HostedStream, worker: int) -> None:
        self.names = names
        self.client = client
        self.worker = worker
        self.rest = b""

    def begin(self) -> None:
        """Listen."""
        self.client.exchange = self
        self.client.open_body()
        self.client.read_body(self)

    def piece(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.names.hear(DECODER.decode(line), self.worker)

    def end(self, trailers: Fields) -> None:
        self.close()

    def broken(self, error: ProxyError) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more."""
        self.client.detach()
        self.client.abort()
        self.names.over(self)

    # -- as whose connection it is: see `Served`

    def client_left(self, error: ClientError) -> None:
        self.close()

    def fail(self, error: ProxyError) -> None:
        self.close()

    def crashed(self, place: str, error: Exception) -> None:
        report("listening to another worker", error)
        self.close()


DECODER = msgspec.json.Decoder(Message)


def encoded(told: Message) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(told) + b"\n"


def of_check(check: bytes, reason: str, *, healthy: bool) -> bytes:
    """A message about what a health check has found, as it is sent."""
    what: What = "healthy" if healthy else "unhealthy"
    return encoded(Message(what, "", check, b"", reason.encode("utf-8", "replace")))


def of_sessions(what: What, sessions: Iterable[bytes], target: bytes) -> bytes:
    """A message about sessions of one target, as it is sent."""
    return encoded(Message(what, "", b"".join(sessions), b"", target))


def all_sessions(table: SessionTable) -> Iterator[bytes]:
    """Messages with all sessions that are known, a few hundred in each."""
    targets: dict[bytes, list[bytes]] = {}
    for session, target in table:
        targets.setdefault(target, []).append(session)
    for target, sessions in targets.items():
        for at in range(0, len(sessions), MOST_IN_ONE):
            yield of_sessions("sessions", sessions[at : at + MOST_IN_ONE], target)
