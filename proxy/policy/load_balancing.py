"""Which of a route's targets gets a request, and what follows a failure.

Streams stay open for minutes, so taking turns would pile them up on one
target while the other is idle: the one with the fewest open exchanges is
asked. Or the one that a value of the request decides. Pure; the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from proxy.errors import (
    ProxyError,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
    UpstreamUnresolved,
)

FIRST_REST = 1.0  # seconds; doubled with each failure in a row
LONGEST_REST = 30.0
FIRST_INTERVAL = 0.1  # seconds between two attempts; doubled each time
LONGEST_INTERVAL = 1.0
# What passes when the upstream has restarted: its port is closed, its machine
# is away, or its name is (of a container). A wrong certificate stays wrong.
PASSING = (UpstreamRefused, UpstreamUnreachable, UpstreamUnresolved)


class Candidate(Protocol):
    """A target, as the choice sees it."""

    @property
    def open(self) -> int:
        """How many exchanges it has now."""

    @property
    def rests_until(self) -> float:
        """It could not be reached lately: others are asked before it."""

    @property
    def probed(self) -> bool:
        """A request finds out right now whether it can be reached again."""


C = TypeVar("C", bound=Candidate)


def pick_target(candidates: Sequence[C], turn: int, now: float) -> C:
    """The candidate with the fewest open exchanges, of equals the one whose turn
    it is; if all rest, the one whose rest ends first.

    After a rest one request alone asks first: a target that swallows connections
    has none, and would get every new one until the first has given up.
    """
    if (count := len(candidates)) == 1:
        return candidates[0]
    first = turn % count
    in_turn = [*candidates[first:], *candidates[:first]]
    awake = [each for each in in_turn if each.rests_until <= now and not each.probed]
    if awake:
        return min(awake, key=lambda each: each.open)
    return min(in_turn, key=lambda each: (each.probed, each.rests_until))


# -- by a value: rendezvous hashing, also called highest random weight
#
# Theory: each target has a weight for each value, and the heaviest one gets it. A
# target that goes takes nothing with it but the values that were its own.
# Practice: by the names of targets, not by their places in a list or by anything that
# is random, since each worker and each machine must come to the same result.

HEAVIEST = b"\xff" * 9  # more than any digest


def seed(name: bytes) -> bytes:
    """What the weights of one target are computed from."""
    return blake2b(name, digest_size=32).digest()


def weight(seed: bytes, value: bytes) -> bytes:
    """How much a target is that of a value; the greatest one is."""
    return blake2b(value, key=seed, digest_size=8).digest()


def pick_by_value(
    candidates: Sequence[C],
    seeds: Mapping[C, bytes],
    value: bytes,
    made_by: C | None,
    now: float,
) -> C:
    """The candidate that a value decides, among those that do not rest.

    `made_by`: the one that has made the value itself, if that is known: it is the
    first, whatever its weight. If all rest, the first one is asked all the same: what
    belongs to the value is nowhere else.
    """

    def weight_of(each: C) -> bytes:
        return HEAVIEST if each is made_by else weight(seeds[each], value)

    awake = [each for each in candidates if each.rests_until <= now and not each.probed]
    idle = awake or [each for each in candidates if not each.probed]
    return max(idle or candidates, key=weight_of)


def longer_rest(rest: float) -> float:
    """The seconds that follow a rest of `rest` seconds; 0 is no rest."""
    return min(2 * rest, LONGEST_REST) if rest else FIRST_REST


class Attempts(Generic[C]):
    """What one request has tried in vain. Made at its first failure.

    A round tries each target once. Rounds follow each other for `limit`
    seconds, and a last one begins when they are over.
    """

    __slots__ = ("began", "count", "interval", "limit", "rounds", "tried")

    def __init__(self, limit: float, now: float) -> None:
        self.limit = limit
        self.began = now
        self.interval = FIRST_INTERVAL
        self.count = 0
        self.rounds = 0
        self.tried: list[C] = []  # in this round

    def failed(self, candidate: C) -> bool:
        """Note a failure; is it this request's first with that candidate?"""
        self.count += 1
        self.tried.append(candidate)
        return self.rounds == 0

    def left(self, candidates: Sequence[C]) -> list[C]:
        """What this round has not tried."""
        return [each for each in candidates if each not in self.tried]

    def again_at(self, error: ProxyError, now: float) -> float | None:
        """When the next round begins after one that ended in `error`, if at all."""
        ends = self.began + self.limit
        if now >= ends or not isinstance(error, PASSING):
            return None
        at = min(now + self.interval, ends)
        self.interval = min(2 * self.interval, LONGEST_INTERVAL)
        self.rounds += 1
        self.tried.clear()
        return at

    def verdict(self, error: UpstreamError, now: float) -> UpstreamError:
        """What the request failed of, when nothing is left to try."""
        if self.rounds and isinstance(error, PASSING):
            return UpstreamUnavailable(
                f"{error}, for {now - self.began:.1f} s and {self.count} attempts "
                "(connect_retry_seconds)"
            )
        if len(self.tried) > 1:
            return type(error)(f"{error}; {len(self.tried)} targets were tried")
        return error
