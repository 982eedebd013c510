"""How the time of a function grows with its input: told by orders of magnitude.

What takes time in C (a regular expression, a copy) has no steps that Python could
count. So the processor time of this thread is measured at one size and at 16 times
that size. Time in proportion to the input grows 16-fold, time in proportion to its
square 256-fold; the bound between them has room for noise on both sides, and a
measurement below the floor is no reason to doubt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMES = 16
BOUND = 64  # between 16 and 256
FLOOR_SECONDS = 0.0005  # what is quicker than this is counted as this
ROUNDS = 4  # at most; noise only ever adds


def assert_linear(
    run: Callable[[T], object],
    make: Callable[[int], T],
    size: int = 2000,
    rounds: int = ROUNDS,
) -> None:
    """See that `run` takes time in proportion to what `make` makes of a size."""
    growths = []
    for _ in range(rounds):
        little, much = make(size), make(size * TIMES)
        small = max(seconds(run, little), FLOOR_SECONDS)
        large = seconds(run, much)
        growths.append(large / small)
        if large <= BOUND * small:
            return
    raise AssertionError(
        f"{TIMES} times the input takes {min(growths):.0f} times as long"
    )


def seconds(run: Callable[[T], object], value: T) -> float:
    """The processor time of one call, whatever it comes to."""
    begun = time.thread_time()
    run(value)
    return time.thread_time() - begun
