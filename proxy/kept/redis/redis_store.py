"""The store as one node has it: what it consists of, and whether it is up.

    connection   the way to the server       questions   calls for single requests
    writer       owned streams -> server     reader      server -> followed streams
    names        of owned streams            life        who is there
    messages     what nodes tell each other  claims       streams of dead owners

Nothing that a live stream does waits for it. If a call fails, all of it is down until
it could be opened again; then what the server has lost is written again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.config.kept_options import StoreOptions
from proxy.config.store_url import parse_store_url
from proxy.internal_errors import report
from proxy.kept.redis.announced import Announced
from proxy.kept.redis.claims import Claims
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.life import BEAT_SECONDS, Life
from proxy.kept.redis.log_reader import (
    FOLLOW_SECONDS,
    LOOK,
    LogReader,
)
from proxy.kept.redis.messages import STOP_WORD, Messages
from proxy.kept.redis.named_stream import NamedStream
from proxy.kept.redis.names import Names
from proxy.kept.redis.notes import Notes
from proxy.kept.redis.outages import Outages
from proxy.kept.redis.questions import Questions
from proxy.kept.redis.records import Malformed, decode_meta
from proxy.kept.redis.scripts import DONE, FIND, STOP
from proxy.kept.redis.sealing import SECRET_BYTES, SealBroken, Sealing
from proxy.kept.redis.store_connection import (
    StoreConnection,
    StoreFault,
    end_all,
)
from proxy.kept.redis.write_behind import WriteBehind
from proxy.kept.redis.written_stream import LEAST_MS
from proxy.kept.shared_store import (
    Feed,
    Following,
    MissingStream,
    OwnedBy,
    OwnedStream,
    StoredStream,
    StoreState,
    StoreUnavailable,
    StreamEnd,
)
from proxy.kept.stored_log import StoredLog
from proxy.policy.stream_identity import maker_of
from proxy.timeline import Clock, monotonic

OPEN_SECONDS: Final = 2.0  # that a start waits for it
CLOSE_SECONDS: Final = 2.0  # that a stop does
FIRST_PAUSE: Final = 0.5  # seconds between two attempts to open it
LONGEST_PAUSE: Final = 5.0
REFRESH_SECONDS: Final = 20.0


class RedisStore:
    """As `SharedStore`."""

    def __init__(
        self,
        options: StoreOptions,
        clock: Clock = monotonic,
    ) -> None:
        self.node = secrets.token_hex(4)
        self.url = parse_store_url(options.url)
        self.keys = Keys(options.prefix)
        self.sealing: Sealing | None = None
        self.has_key = bool(options.key)
        if options.key:
            self.sealing = Sealing(options.key.encode("utf-8"))
        self.connection = StoreConnection(self.url)
        self.questions = Questions(self)
        self.life = Life(self)
        self.writer = WriteBehind(self)
        self.reader = LogReader(self)
        self.claims = Claims(self)
        self.names = Names(self)
        self.announced = Announced(self)
        self.notes = Notes(self)
        self.messages = self.teller = Messages(self)
        self.up = False
        self.outages = Outages(self.url.place, clock)
        self.tasks: list[asyncio.Task[None]] = []
        self.refreshed = self.looked = self.told_owners = 0.0  # on the loop's clock
        self.went_down = asyncio.Event()
        self.came_up_once = asyncio.Event()

    # -- open and closed

    @property
    def secret(self) -> bytes:
        return b"" if self.sealing is None else self.sealing.prints

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for work in (self.stay_open, self.live, self.messages.run):
            self.tasks.append(loop.create_task(self.contained(work)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await self.came_up_once.wait()

    async def contained(self, work: Callable[[], object]) -> None:
        """One of the tasks that run as long as the store does."""
        try:
            await work()  # type: ignore[misc] # a coroutine function
        except Exception as error:
            report("the store", error)

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.writer.write_all()
                while self.up and (
                    left := self.names.writing.task or self.messages.telling
                ):
                    await asyncio.wait([left])
        self.up = False
        self.writer.stop_timer()
        tasks = [
            *self.tasks,
            self.writer.task,
            self.reader.task,
            self.names.writing.task,
        ]
        tasks += [self.notes.writing.task, self.questions.task, self.messages.telling]
        tasks += [self.announced.writing.task]
        await end_all(task for task in tasks if task is not None)
        await self.connection.close()

    async def stay_open(self) -> None:
        """Open it whenever it is down, until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self.connection.open()
                await self.agree_on_secret()
                await self.life.beat(asyncio.get_running_loop().time(), ())
            except Exception as error:
                if not isinstance(error, StoreFault):
                    report("connecting to the store", error)
                self.is_down(str(error))
                await self.connection.close()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self.is_up()
            await self.went_down.wait()
            await self.connection.close()
            await asyncio.sleep(pause)

    async def agree_on_secret(self) -> None:
        """Have the same secret as all nodes.

        Raises:
            StoreFault: it is not known.
        """
        if self.has_key:
            return
        own = secrets.token_bytes(SECRET_BYTES)
        if self.sealing is not None:  # the server may have forgotten it
            own = self.sealing.secret
        key = self.keys.secret
        _, secret = await self.connection.run([("SET", key, own, "NX"), ("GET", key)])
        if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
            raise StoreFault(f"{key.decode()} does not hold a secret of this program")
        if self.sealing is not None and secret == self.sealing.secret:
            return
        self.sealing = Sealing(secret)
        for stream in self.writer.streams.values():
            stream.forget_place()
        self.reader.secret_changed()

    def is_up(self) -> None:
        """It answers."""
        loop = asyncio.get_running_loop()
        self.went_down.clear()
        self.up = True
        first = not self.came_up_once.is_set()
        self.life.came_up(loop.time(), first=first)
        self.messages.up.set()
        self.outages.end(first=first)
        self.came_up_once.set()
        self.writer.check_all = True
        self.writer.mark_all()
        self.announced.announce_again()
        self.names.renew()
        self.reader.came_up()

    def is_down(self, reason: str) -> None:
        """It does not answer."""
        was_up, self.up = self.up, False
        self.messages.up.clear()
        self.went_down.set()
        self.outages.note(reason, begins=was_up)

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""
        if self.up:
            self.is_down(str(fault))

    # -- what goes on as long as it is open

    async def live(self) -> None:
        """Show signs of life, look for those of others, and keep what is there."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            try:
                if self.up:
                    await self.turn(now)
            except StoreFault as fault:
                self.failed(fault)
            except Exception as error:
                report("the store", error)
            await asyncio.sleep(max(BEAT_SECONDS - (loop.time() - now), 0.01))

    async def turn(self, now: float) -> None:
        """What is due.

        Raises:
            StoreFault: it could not be done.
        """
        await self.beat(now)
        if self.writer.check_all or now - self.refreshed >= REFRESH_SECONDS:
            self.refreshed = now
            self.writer.check_all = False
            await self.writer.refresh(now)
            self.announced.announce_again()
            self.names.renew()
        if now - self.looked >= LOOK:
            self.looked = now
            self.reader.look()
        if now - self.told_owners >= FOLLOW_SECONDS:
            self.told_owners = now
            self.reader.tell_owners()
            await self.claims.give_back(now)

    async def beat(self, now: float) -> None:
        """One sign of life.

        Raises:
            StoreFault: it could not be shown.
        """
        vanished, dead = await self.life.beat(now, self.reader.nodes())
        if vanished:
            self.writer.check_all = True
        for node in dead:
            self.reader.node_died(node)
        self.reader.nodes_seen()

    # -- as `SharedStore`

    def own(
        self, id: bytes, by: OwnedBy, log: StoredLog, epoch: int = 1
    ) -> OwnedStream:
        leases = self.announced.take(id)
        stream = NamedStream(self, id, by, log, epoch, leases)
        self.writer.streams[id] = stream
        end = self.claims.begun(id)
        if end is not None:
            stream.taken_up(end)
        return stream

    def announce(self, id: bytes, by: OwnedBy) -> None:
        self.announced.add(id, by)

    def renounce(self, id: bytes) -> None:
        self.names.dropped(id)
        self.announced.renounce(id)

    def owner_of(self, id: bytes) -> OwnedBy | None:
        """Who has a stream of this node."""
        stream = self.writer.streams.get(id) or self.announced.streams.get(id)
        return None if stream is None else stream.leases.by

    async def claim(self, id: bytes, epoch: int) -> int | None:
        try:
            return await self.claims.claim(id, epoch)
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None

    def bury(self, id: bytes, epoch: int, end: StreamEnd, keep_seconds: float) -> None:
        ms = max(int(keep_seconds * 1000), LEAST_MS)
        self.soon(self.claims.bury(id, epoch, end, ms))

    def follow(
        self, id: bytes, position: int | None, feed: Feed, behind: int = 0
    ) -> Following:
        return self.reader.follow(id, position, feed, behind)

    async def find(self, id: bytes) -> StoredStream | None:
        sealing = self.sealing
        if sealing is None:
            raise StoreUnavailable(self.outages.reason)
        key = self.keys.meta(sealing.stream_name(id))
        try:
            _, sealed, owner, epoch, state = await self.questions.ask(FIND, ([key], []))
            if not epoch:
                self.names.check_settled()
                return None
            alive = bool(owner) and await self.names.is_alive(owner)
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None
        try:
            meta = None
            if sealed:
                meta = decode_meta(sealing.of_stream(id).open(sealed, b"meta"))
        except (SealBroken, Malformed):
            return None
        return StoredStream(meta, owner.decode(), int(epoch), state.decode(), alive)

    async def why_missing(self, id: bytes) -> MissingStream:
        try:
            alive = await self.names.is_alive(maker_of(id))
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None
        started = self.connection.started
        now = asyncio.get_running_loop().time()
        return MissingStream(alive, None if started is None else now - started)

    def stop(self, id: bytes) -> None:
        self.soon(self.stop_stream(id))

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for; in vain if the store goes down."""

        async def done() -> None:
            with contextlib.suppress(StoreFault):
                await work

        task = asyncio.get_running_loop().create_task(self.contained(done))
        self.tasks.append(task)
        task.add_done_callback(self.tasks.remove)

    async def stop_stream(self, id: bytes) -> None:
        """Note that a stream is to end, and tell its owner."""
        if self.sealing is None:
            return
        name = self.sealing.stream_name(id)
        result = await self.questions.ask(STOP, ([self.keys.meta(name)], []))
        if result[0] == DONE and result[1]:
            channel = self.keys.channel(result[1])
            self.messages.tell([(channel, b" ".join([STOP_WORD, name]))])

    def name(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes, seconds: float
    ) -> None:
        self.names.name(id, (kind, route, value, who), seconds)

    def unname(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        self.names.unname(id, (kind, route, value, who))

    def supersede(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        self.names.supersede(id, (kind, route, value, who))

    async def find_name(
        self, kind: str, route: str, value: bytes, who: bytes
    ) -> list[bytes]:
        try:
            return await self.names.find((kind, route, value, who))
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None

    async def elect(
        self, kind: str, route: str, value: bytes, who: bytes, id: bytes
    ) -> bytes:
        try:
            return await self.names.elect((kind, route, value, who), id)
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None

    def remember(self, kind: str, key: bytes, text: bytes, seconds: float) -> None:
        self.notes.remember(kind, key, text, seconds)

    async def recall(self, kind: str, key: bytes) -> bytes | None:
        try:
            return await self.notes.recall(kind, key)
        except StoreFault as fault:
            raise StoreUnavailable(str(fault)) from None

    def state(self) -> StoreState:
        streams = self.writer.streams.values()
        return StoreState(
            up=self.up,
            reason=self.outages.reason,
            since=self.outages.since,
            unwritten=sum(each.unwritten for each in streams),
            owned=len(self.writer.streams),
            followed=len(self.reader.streams),
            written=self.writer.bytes,
            read=self.reader.bytes_read,
            outages=self.outages.count,
            rewritten=self.writer.rewritten,
            taken=self.claims.taken,
            lost=self.writer.lost,
        )
