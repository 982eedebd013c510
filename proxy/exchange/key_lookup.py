"""`path` and `stop`: a stream by the key that its application has for it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from proxy.errors import (
    ClientError,
    StreamGone,
    StreamStopped,
    StreamUncertain,
    StreamUnknown,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.store_lookup import StoreLookup, stop_named
from proxy.exchange.store_word import uncertain
from proxy.exchange.stream_home import key_worker
from proxy.exchange.stream_request import BY_KEY, StreamRequest, cors_for
from proxy.kept.registry import KEY, Name
from proxy.policy.stream_identity import fingerprint, of_host

SAFE = (b"GET", b"HEAD", b"OPTIONS", b"TRACE")


class AskedByKey(NamedTuple):
    """What a path with a key asks: `stops`, to end the stream."""

    route: CompiledRoute
    name: Name
    who: bytes
    stops: bool


class KeyLookup:
    """Looks at the path of one request."""

    __slots__ = ("request",)

    def __init__(self, request: StreamRequest) -> None:
        self.request = request

    def at_key_path(self) -> bool:
        """`path` is answered here; `stop` is forwarded, too."""
        asked = self.asked_by_key()
        if asked is None:
            return False
        peers = self.request.owner.peers
        if peers is not None:
            if asked.stops:
                peers.stop(asked.name, asked.who)
            worker = key_worker(self.request.exchange, peers, asked.name, asked.who)
            if worker is not None:
                route = self.request.route if asked.stops else asked.route
                self.request.hand_over(
                    peers, worker, route, partial(self.key_here, asked)
                )
                return True
        return self.ask_store(asked)

    def ask_store(self, asked: AskedByKey) -> bool:
        """Other machines may have a stream of the key, too."""
        shared = self.request.registry.shared
        if shared is None or not shared.up:
            return self.by_key(asked)
        if asked.stops:
            stop_named(shared, asked.name, asked.who)
            return self.by_key(asked)
        exchange = self.request.exchange
        exchange.route = asked.route
        exchange.timeline.route = asked.route.prefix
        lookup = StoreLookup(exchange, shared)
        lookup.ask(
            partial(lookup.by_key, asked.name, asked.who),
            partial(self.key_known, asked, lookup),
        )
        return True

    def asked_by_key(self) -> AskedByKey | None:
        """Which stream the path of the request asks for, and what of it."""
        paths, head = self.request.rules.paths, self.request.head
        assert paths is not None
        where = self.request.where
        found = paths.match(where.path, where.authority)
        if found is None:
            return None
        route = self.request.owner.compiled.find(found.prefix)
        if route is None or route.route.resume is None:
            return None
        stops = found.kind == b"stop"
        if head.method in SAFE if stops else head.method != b"GET":
            return None
        name = Name(KEY, found.prefix, of_host(found.prefix, head, found.key))
        who = fingerprint(head, route.route.resume.bind, self.request.registry.secret)
        return AskedByKey(route, name, who, stops)

    def key_here(self, asked: AskedByKey) -> None:
        """The worker that has the stream cannot be asked."""
        exchange, route = self.request.exchange, self.request.route
        exchange.route, exchange.timeline.route = route, route.prefix
        try:
            answered = self.ask_store(asked)
        except (ClientError, StreamUncertain) as error:
            exchange.fail(error)
            return
        if not answered:
            self.request.ask_alone()

    def key_known(self, asked: AskedByKey, lookup: StoreLookup) -> None:
        """What other machines have is known, or cannot be: answer."""
        self.request.word = lookup.word
        try:
            self.by_key(asked)
        except (ClientError, StreamUncertain) as error:
            self.request.exchange.fail(error)

    def by_key(self, asked: AskedByKey) -> bool:
        """Answer by a stream of this worker, or end it.

        Raises:
            StreamUnknown, StreamGone, StreamUncertain.
        """
        registry, route = self.request.registry, asked.route
        streams = registry.find_all(asked.name, asked.who)
        if asked.stops:
            for each in tuple(streams):
                each.stop(StreamStopped("the stream was stopped by its client"))
            return False
        self.request.exchange.route = route
        self.request.exchange.timeline.route = route.prefix
        stream = streams[-1] if streams else None
        read = stream is not None and stream.settled and stream.read
        if stream is None or read:  # another process may have one that runs
            silence = self.request.silence
            if silence:
                raise uncertain(silence)
        if stream is not None and not read and stream.has_log and stream.log.first:
            gone = StreamGone(
                "the beginning of the stream is no longer kept (resume.max_bytes)"
            )
            gone.fields = cors_for(stream, self.request.head)
            raise gone
        if stream is None:
            peers = self.request.owner.peers
            elsewhere = peers is not None and peers.is_taken(asked.name)
            if elsewhere or registry.is_taken(asked.name):
                registry.refused("bind")
                raise StreamUnknown("there is no such stream of this client")
            self.request.nothing_runs(None)
        elif read:
            self.request.nothing_runs(stream)
        else:
            self.request.subscribe(stream, 0, BY_KEY, declined=self.look_again)
        return True

    def look_again(self) -> None:
        """What was waited for is not kept: the stream before it still has the key."""
        try:
            self.at_key_path()
        except (ClientError, StreamUncertain) as error:
            self.request.exchange.fail(error)
