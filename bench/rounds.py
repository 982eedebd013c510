"""Running all loads for all peers, in interleaved rounds.

A noisy moment hits all alike: within a round a load goes through every peer
before the next load begins.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.loads import Load, Outcome
from bench.peers import DIRECT, Peer
from bench.processes import cores
from bench.results import Key
from bench.running import load_program, measure

Step = tuple[int, Load, Peer | None]


def steps(
    loads: Sequence[Load], peers: Sequence[Peer], rounds: int, once: bool
) -> list[Step]:
    """All runs in their order. `once`: slow loads in the first round only."""
    found: list[Step] = []
    for number in range(rounds):
        for load in loads:
            if number and once and load.once:
                continue
            if load.direct:
                found.append((number, load, None))
            found += [(number, load, peer) for peer in peers if peer.takes(load)]
    return found


def minutes(planned: Sequence[Step]) -> int:
    """How long it will take, roughly."""
    return round(sum(load.about for _, load, _ in planned) / 60 + 0.5)


def run_all(planned: Sequence[Step]) -> Iterator[tuple[Key, Outcome | str]]:
    """Each run's outcome as it comes, or in words why there is none.

    The bench itself stays off the proxy's core.
    """
    os.sched_setaffinity(0, cores()[1])
    with tempfile.TemporaryDirectory() as folder:
        program = load_program(Path(folder))
        began = time.monotonic()
        for done, (number, load, peer) in enumerate(planned):
            name = peer.name if peer else DIRECT
            tell_progress(done, planned, began, f"{load}, {name}")
            outcome: Outcome | str
            try:
                outcome = measure(program, peer, load)
            except (RuntimeError, OSError, ValueError) as fault:
                outcome = str(fault)
                print(f"  {name}: {fault}", file=sys.stderr, flush=True)
            yield (number, load, name), outcome


def tell_progress(done: int, planned: Sequence[Step], began: float, text: str) -> None:
    number = planned[done][0] + 1
    spent = int(time.monotonic() - began)
    line = f"[{done + 1}/{len(planned)} {spent // 60}:{spent % 60:02}]"
    print(f"{line} round {number}: {text}", file=sys.stderr, flush=True)
