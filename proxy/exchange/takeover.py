"""A followed stream whose owner has died: it is taken up here, or elsewhere, or over.

1 lose_owner      it has died                   -> `go_on`, or the end for all
2 go_on           a client's request says how   -> `claim`; else others have to
3 claim           of several nodes, the first   -> `become_owner`
4 check           nobody has taken it up        -> the end for all
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.errand import errand
from proxy.exchange.exchange import Exchange
from proxy.exchange.log_replica import LogReplica
from proxy.exchange.replication import Replication
from proxy.exchange.separation import UpstreamForward
from proxy.http1.head import RequestHead
from proxy.kept.registry import KeptStreams
from proxy.kept.shared_store import SharedStore, StoreUnavailable
from proxy.policy.routing import Destination

MOVED_SECONDS = 5.0  # within which another process has to have taken a stream up
DOWN_SECONDS = 15.0  # that clients wait for a store which does not answer
CLAIM_SECONDS = 15.0  # for which taking it up is tried again, if that is not answered
MOST_DEATHS = 5  # of owners, without a byte in between: then nobody will have it

DEAD = "the process that read the stream from its upstream has died"


class ForwardOfClient(UpstreamForward, Protocol):
    """The `Forward` of a client's request."""

    def another(self, exchange: Exchange) -> UpstreamForward:
        """One for another exchange."""


class Donor(NamedTuple):
    """A client's request, by which the upstream may be asked for the rest."""

    forward: ForwardOfClient
    head: RequestHead  # without a cursor
    where: Destination
    route: CompiledRoute
    address: bytes
    scheme: bytes
    trusted: bool


class Orphan(Protocol):
    """The stream."""

    id: bytes
    replica: LogReplica
    replication: Replication
    settled: bool
    taken: bool  # is it this process's by now?

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes, and the clock."""

    @property
    def kept(self) -> KeptStreams[Any]:
        """All streams of this worker."""

    @property
    def is_awaited(self) -> bool:
        """Is a request about to subscribe?"""

    def has_grown(self) -> None:
        """There is something new to know of it."""

    def hold(self) -> None:
        """Do not let go of it, whoever leaves, before `release`."""

    def release(self) -> None:
        """It may go, if nobody reads it."""

    def become_owner(self, donor: Donor, epoch: int) -> None:
        """It is this process's from that epoch on: ask the upstream for the rest."""

    def bury(self, epoch: int, reason: str) -> None:
        """It has ended: also for those who ask for it later, anywhere."""

    def fail(self, reason: str) -> None:
        """It has ended for all who read it here."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class Takeover:
    """Of one stream. `epoch`: whose owner has died; None: it lives.

    `donor`: the request of the client that came last by the stream's own route.
    """

    __slots__ = (
        "claim_until",
        "claiming",
        "deaths",
        "died_at",
        "donor",
        "down_since",
        "epoch",
        "limit",
        "shared",
        "stream",
    )

    def __init__(self, stream: Orphan, shared: SharedStore) -> None:
        self.stream = stream
        self.shared = shared
        self.donor: Donor | None = None
        self.epoch: int | None = None
        self.deaths, self.died_at = 0, -1  # how many owners, at which position
        self.claiming = False
        self.limit: float | None = None  # until when another may take it up
        self.claim_until: float | None = None  # a claim was not answered
        self.down_since: float | None = None  # the store

    # -- what the store tells

    def lose_owner(self, epoch: int) -> None:
        """Its owner has died, or has given it up."""
        stream = self.stream
        if stream.replica.end != self.died_at:
            self.deaths, self.died_at = 0, stream.replica.end
        self.deaths += 1
        self.epoch = epoch
        stream.has_grown()
        if not stream.replication.may_be_taken_up or self.deaths > MOST_DEATHS:
            stream.bury(epoch, DEAD)
        elif not stream.is_awaited:
            self.go_on()

    def owner_is_back(self, epoch: int) -> None:
        """It was only away: nobody has to take its place."""
        if self.epoch == epoch:
            self.has_owner()

    def has_owner(self) -> None:
        """Somebody reads it from its upstream."""
        self.epoch = self.limit = self.claim_until = None

    def over(self) -> None:
        """It is this process's, or has ended: nothing is waited for."""
        self.limit = self.claim_until = self.down_since = None
        self.stream.compiled.ticker.discard(self)

    # -- who takes it up

    def go_on(self) -> None:
        """Take it up, if a client's request says how; wait for others, if not."""
        stream, epoch = self.stream, self.epoch
        if self.claiming or stream.taken or epoch is None:
            return
        if self.donor is not None and not stream.kept.draining:
            self.claiming = True
            stream.hold()
            errand(self.claim(epoch), "taking up the stream of another process")
        else:
            self.wait_for_others()

    def wait_for_others(self) -> None:
        """Another process has to take it up soon."""
        if self.limit is None:
            self.limit = self.stream.compiled.clock() + MOVED_SECONDS

    async def claim(self, epoch: int) -> None:
        """Take the place of its owner, if no other node is quicker."""
        stream = self.stream
        try:
            position = await self.shared.claim(stream.id, epoch)
            still = self.epoch == epoch and not stream.settled
            if position is not None:
                self.take_over(epoch)
            elif still:
                self.claim_until = None
                self.wait_for_others()
        except StoreUnavailable:  # it may be this process's: asked again by `check`
            still = self.epoch == epoch and not stream.settled
            if still and self.claim_until is None:
                self.limit = None
                self.claim_until = stream.compiled.clock() + CLAIM_SECONDS
        except Exception as error:
            stream.crashed("taking up the stream of another process", error)
        finally:
            self.claiming = False
            stream.release()
            if self.epoch is not None and self.epoch != epoch and not stream.settled:
                self.go_on()  # meanwhile another owner has died, too

    def take_over(self, epoch: int) -> None:
        """No other node was quicker."""
        if not self.stream.settled and self.donor is not None:
            self.epoch = None
            self.over()
            self.stream.become_owner(self.donor, epoch + 1)

    # -- the clock

    def check(self, now: float) -> None:
        """Has nobody taken it up, or has the store gone? Called by the ticker."""
        if not self.shared.up:
            self.wait_for_store(now)
            return
        self.down_since = None
        if self.claim_until is not None:
            if now < self.claim_until:
                self.go_on()
            else:
                self.bury(f"{DEAD}, and the store does not say who has it now")
        if self.limit is not None and now >= self.limit:
            self.bury(f"{DEAD}, and no other has taken it up")

    def wait_for_store(self, now: float) -> None:
        """It is down, but not for ever. Meanwhile nobody can take it up."""
        if self.down_since is None:
            self.down_since = now
        elif now - self.down_since >= DOWN_SECONDS:
            self.stream.fail(
                "the store has not answered for "
                f"{DOWN_SECONDS:g} s, and the stream is read by another process"
            )
        if self.limit is not None:
            self.limit = now + MOVED_SECONDS

    def bury(self, reason: str) -> None:
        """Nobody has taken it up."""
        if self.epoch is not None:
            self.stream.bury(self.epoch, reason)

    def crashed(self, place: str, error: Exception) -> None:
        """The ticker's call raised."""
        self.stream.crashed(place, error)
