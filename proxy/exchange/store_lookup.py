"""A request whose stream another process may have: the shared store is asked.

It waits, for a few seconds at most, until what the store knows is known here: streams
that it may be about are followed, and are found in the registry like those of this
process.
What a store that does not answer, or not in time, would have said is not known: see
`store_word`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeAlias

from proxy.exchange.errand import errand
from proxy.exchange.exchange import Exchange
from proxy.exchange.followed_stream import FollowedStream
from proxy.exchange.kept_stream import ENDED, RUNNING, KeptStream
from proxy.exchange.published_stream import PublishedStream
from proxy.exchange.store_word import (
    BEHIND,
    NOT_ASKED,
    SILENT,
    StoreWord,
    absence_of,
)
from proxy.kept.log import StreamLog
from proxy.kept.registry import KeptStreams, Name
from proxy.kept.shared_store import SharedStore, StoredStream, StoreUnavailable
from proxy.policy.stream_identity import new_id
from proxy.transport.client_stream import ClientStream

Question: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

Has: TypeAlias = Callable[[StreamLog], bool]  # is there what a client needs?

# For all that one request waits for, in a process that is busy. A store that does not
# answer is given up sooner.
ASK_SECONDS = 5.0
# But as long as its stream waits for its turn to be read, it waits on: to read the
# streams of all who come back in one moment takes a busy process seconds.
LOOK_SECONDS, LONGEST_SECONDS = 1.0, 60.0
# Seconds that what the owner has sent may take by way of the store: it is written
# within 50 ms and told of by a message. If that is lost, the next look at all streams
# finds it, up to 1 s later. An event id of ours was sent, so it is worth waiting for;
# one of an upstream may belong to a stream that is not known at all.
LATE_SECONDS, UPSTREAM_LATE_SECONDS = 2.0, 0.25
DOUBT_SECONDS = 0.25  # after which it is looked whether an owner still is in doubt
PAUSES = (0.03, 0.06, 0.12, 0.25)  # seconds, until an ID is looked for again
AGAIN_SECONDS = 0.05  # until a name is asked for again whose stream was not kept
MOST_STREAMS = 8  # of one name, that a request may be about


class StoreLookup:
    """One request. `answered`: called when what there is to know is known.

    `stored`: what it was elected to be, if it was. `word`: what the store says of a
    stream that is not here then.
    """

    __slots__ = (
        "answered",
        "exchange",
        "held",
        "limit",
        "registry",
        "shared",
        "stored",
        "task",
        "word",
    )

    def __init__(self, exchange: Exchange, shared: SharedStore) -> None:
        self.exchange = exchange
        self.shared = shared
        self.registry: KeptStreams[KeptStream] = exchange.owner.kept
        self.answered: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.held: list[FollowedStream] = []
        self.stored: PublishedStream | None = None
        self.limit: asyncio.Timeout | None = None
        self.word = NOT_ASKED

    def ask(self, question: Question, answered: Callable[[], None]) -> None:
        """Have the request wait."""
        self.answered = answered
        self.exchange.source = self
        self.task = asyncio.get_running_loop().create_task(self.run(question))

    async def run(self, question: Question) -> None:
        """Ask, and go on with the request."""
        exchange = self.exchange
        try:
            try:
                async with asyncio.timeout(ASK_SECONDS) as limit:
                    self.limit = limit
                    await question()
            except (TimeoutError, StoreUnavailable):
                self.word = StoreWord(silence=SILENT)
            self.task = None
            answered, self.answered = self.answered, None
            if answered is not None and not exchange.is_over:
                exchange.source = None
                answered()
        except Exception as error:
            exchange.crashed("asking the store for a stream", error)
        finally:
            held, self.held = self.held, []
            for each in held:
                each.no_longer_awaited()

    # -- the questions

    def known(self, id: bytes, skip: int) -> KeptStream | None:
        """What is known here of a stream, if it begins before the end of an event."""
        registry = self.registry
        for known in (registry.arriving.get(id), registry.streams.get(id)):
            late = isinstance(known, FollowedStream) and known.skipped > skip
            if known is not None and not late:
                return known
        return None

    async def by_id(
        self, id: bytes, *, named: bool = False, skip: int = 0
    ) -> FollowedStream | None:
        """Have a stream here, if there is one. `named`: its head may not be known.

        `skip`: the client has up to that event of it.
        """
        seems_dead = False
        known = self.known(id, skip)
        if known is None:
            found = await self.shared.find(id)
            for seconds in () if named else PAUSES:
                if found is not None and found.meta is not None:
                    break
                await asyncio.sleep(seconds)
                found = await self.shared.find(id)
            known = self.known(id, skip)
            if known is None:
                if found is None and not named:
                    await self.look_for_reasons(id)
                    return None
                if found is not None and found.meta is not None:
                    seems_dead = found.state == RUNNING and not found.alive
                known = self.begin_following(id, found, skip)
        if not isinstance(known, FollowedStream):
            return None
        here = known.catch_up.wait()
        self.held.append(known)
        await self.arrival(known, here)
        await self.owner_known(known, seems_dead=seems_dead)
        return known

    async def owner_known(self, stream: FollowedStream, *, seems_dead: bool) -> None:
        """Wait until it is known whether a stream goes on, if that is in doubt."""
        while seems_dead or stream.is_in_doubt:
            if stream.takeover.epoch is not None or stream.settled:
                return
            await asyncio.wait([stream.catch_up.growth()], timeout=DOUBT_SECONDS)

    def begin_following(
        self, id: bytes, found: StoredStream | None, skip: int
    ) -> FollowedStream | None:
        """Follow one more; None: it has no route here."""
        exchange, registry, route = self.exchange, self.registry, self.exchange.route
        meta = None if found is None else found.meta
        if meta is not None:
            route = exchange.compiled.find(meta.route)
        if route is None:
            return None
        stream = FollowedStream(exchange.owner, exchange.client, route, self.shared, id)
        if found is not None and meta is not None:
            # As long as it may fail, it needs its first event, which says how it tells
            # of that. And who has begun to read all of it reads on.
            known = id in registry.arriving or id in registry.streams
            if found.state == ENDED and not known:
                stream.skipped = skip
            stream.source.changed(meta)
        if not stream.settled:
            stream.follow()
        return stream

    async def arrival(self, stream: FollowedStream, here: asyncio.Future[None]) -> None:
        """Wait until a stream is here, which others are read before."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + LONGEST_SECONDS
        while not here.done():
            await asyncio.wait([here], timeout=LOOK_SECONDS)
            if stream.is_coming and self.limit is not None:
                self.limit.reschedule(min(loop.time() + ASK_SECONDS, latest))

    def for_one(self, id: bytes, has: Has, skip: int = 0) -> Question | None:
        """The question for a stream by its ID; None: all is known here.

        `skip`: the event up to which the client has it.
        """
        question = partial(self.one, id, has, skip)
        known = self.registry.streams.get(id)
        if known is None:
            return None if id in self.registry.gone else question
        if isinstance(known, FollowedStream):
            waits = known.skipped > skip or known.lags(has) or known.is_in_doubt
            return question if waits else None
        return None

    async def one(self, id: bytes, has: Has, skip: int) -> None:
        """Have a stream here, if there is one, with what its client has of it."""
        found = await self.by_id(id, skip=skip)
        if self.limit is not None:
            loop = asyncio.get_running_loop()
            self.limit.reschedule(loop.time() + ASK_SECONDS)
        await self.until([found], has, LATE_SECONDS)
        if found is not None and found.lags(has):
            self.word = StoreWord(silence=BEHIND)
        elif found is not None and found.head is None:  # it was gone before that
            await self.look_for_reasons(id)

    async def look_for_reasons(self, id: bytes) -> None:
        """Find out what is known of a stream that is not in the store."""
        routes = self.exchange.compiled.router.routes
        kept = [each.route.resume for each in routes if each.route.resume is not None]
        longest = max((each.keep_seconds for each in kept), default=0.0)
        missing = await self.shared.why_missing(id)
        self.word = StoreWord(absence=absence_of(missing, longest))

    async def by_name(self, name: Name, who: bytes, has: Has) -> None:
        """Have all streams here that have a name, one of them with what `has` says."""
        ids = await self.shared.find_name(name.kind, name.route, name.value, who)
        found = [await self.by_id(id) for id in reversed(ids[-MOST_STREAMS:])]
        await self.until(found, has, UPSTREAM_LATE_SECONDS)

    async def until(
        self, streams: Sequence[FollowedStream | None], has: Has, seconds: float
    ) -> None:
        """Wait for what is under way from the owner to here, but not for long."""
        some = [each for each in streams if each is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while some and all(each.lags(has) for each in some):
                    await asyncio.wait(
                        [each.catch_up.growth() for each in some],
                        return_when=asyncio.FIRST_COMPLETED,
                    )

    async def by_key(self, name: Name, who: bytes) -> None:
        """Have the newest stream here that has a key."""
        ids = await self.shared.find_name(name.kind, name.route, name.value, who)
        if ids:
            found = await self.by_id(ids[-1], named=True)
            if found is not None:
                found.named(name, who)

    async def by_election(self, name: Name, who: bytes) -> None:
        """Have the stream here that alone has a name, or be the one that gets it."""
        registry, shared = self.registry, self.shared
        own = PublishedStream(shared, new_id(registry.worker, registry.node))
        own.announce()
        try:
            while registry.find(name, who) is None:
                winner = await shared.elect(
                    name.kind, name.route, name.value, who, own.id
                )
                if winner == own.id:
                    self.stored = own
                    return
                found = await self.by_id(winner, named=True)
                if found is not None and not found.settled:
                    found.named(name, who)
                    return
                if found is not None and found.head is not None:  # it has just ended
                    return
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            if self.stored is None:
                own.unnamed(name, who)  # it may have been elected in vain
                own.renounce()

    # -- as the source of the exchange: see `ResponseSource`

    @property
    def waiting_for(self) -> str:
        return "store"

    def abort(self) -> None:
        task, self.task, self.answered = self.task, None, None
        if task is not None:
            task.cancel()

    def go_on_for(self, client: ClientStream) -> None:
        """Nobody waits without a client."""


def knows(cursor: bytes) -> Has:
    """Is the event of a cursor here, or no longer?"""

    def has(log: StreamLog) -> bool:
        return log.has_had(cursor)

    return has


def reaches(position: int) -> Has:
    """Is it here up to a position?"""

    def has(log: StreamLog) -> bool:
        return log.end >= position

    return has


def stop_named(shared: SharedStore, name: Name, who: bytes) -> None:
    """End all streams of a name, wherever they are."""
    errand(stop_all(shared, name, who), "stopping the streams of a key")


async def stop_all(shared: SharedStore, name: Name, who: bytes) -> None:
    """See `stop_named`."""
    for id in await shared.find_name(name.kind, name.route, name.value, who):
        shared.stop(id)
