"""What an engine of faults makes of a body, as its driver takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

from hypothesis import strategies as st

from proxy.config.fault_options import Fault, FaultKind
from proxy.http1.grammar import Fields
from proxy.policy.fault_engine import FaultEngine
from proxy.policy.fault_steps import MadeStep, Send, Step, StepQueue

EVENTS: Fields = [(b"Content-Type", b"text/event-stream")]
LINES: Fields = [(b"Content-Type", b"application/x-ndjson")]
OTHER: Fields = [(b"Content-Type", b"application/octet-stream")]


def fault(kind: FaultKind, **values: float) -> Fault:
    """One fault."""
    return Fault(kind=kind, **values)  # type: ignore[arg-type]  # of any key


TEXTS = st.sampled_from(
    ["data: 1", "data: 你好", "event: x", "id: 1", ": c", "", "data: [DONE]", "x"]
)
ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
# Streams of events, and of much that is none.
STREAMS = st.lists(st.tuples(TEXTS, ENDINGS), max_size=14).map(
    lambda lines: "".join(text + end for text, end in lines).encode()
)
PLACES = st.integers(0, 3)
CUTS = st.lists(st.integers(0, 400), max_size=12)
ENDS: tuple[FaultKind, ...] = ("fin", "reset", "clean_end")


@st.composite
def ends(draw: st.DrawFn, kinds: Sequence[FaultKind] = ENDS) -> Fault:
    """A fault that ends a stream."""
    after = draw(PLACES)
    inside = after > 0 and draw(st.booleans())
    return fault(draw(st.sampled_from(kinds)), after=after, inside=inside)


@st.composite
def sized(draw: st.DrawFn, kind: FaultKind, most: int) -> Fault:
    """A fault that writes so much at a time."""
    return fault(kind, size=draw(st.integers(0, most)), after=draw(PLACES))


# Faults that take no time.
SUDDEN = st.one_of(
    ends(),
    st.integers(1, 3).map(lambda after: fault("duplicate", after=after)),
    PLACES.map(lambda after: fault("error_event", after=after)),
    sized("coalesce", 20),
    st.just(fault("no_terminal")),
)
SOME = st.one_of(
    SUDDEN,
    ends(("stall",)),
    st.integers(1, 3).map(lambda after: fault("stall", seconds=2, after=after)),
    sized("drip", 5),
    PLACES.map(lambda after: fault("split", after=after)),
    st.integers(1, 40).map(lambda size: fault("wrong_length", size=size)),
)


def taken(made: Iterable[Sequence[MadeStep]]) -> list[Step]:
    """All steps, one by one."""
    queue = StepQueue()
    for steps in made:
        queue.add(steps)
    found = []
    while (step := queue.take()) is not None:
        found.append(step)
    return found


def engine(*faults: Fault, seed: int = 0, route: str = "") -> FaultEngine:
    """The engine of one response."""
    return FaultEngine(faults, Random(seed), route)


def steps(
    faults: Sequence[Fault],
    pieces: Iterable[bytes],
    fields: Fields = EVENTS,
    *,
    whole: bool = True,
    seed: int = 0,
    route: str = "",
) -> list[Step]:
    """The steps of a whole body, write by write."""
    broken = engine(*faults, seed=seed, route=route)
    made = [broken.head(200, fields).steps]
    made += [broken.piece(piece) for piece in pieces]
    made.append(broken.end(whole=whole))
    return taken(made)


def joined(found: Iterable[Step]) -> list[Step]:
    """The same without the borders between two writes that follow each other."""
    made: list[Step] = []
    for step in found:
        if isinstance(step, Send) and made and isinstance(made[-1], Send):
            made[-1] = Send(made[-1].data + step.data)
        else:
            made.append(step)
    return made


def sent(found: Iterable[Step]) -> bytes:
    """All bytes that are written."""
    return b"".join(step.data for step in found if isinstance(step, Send))


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream in pieces, none of them empty."""
    marks = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(marks)]
