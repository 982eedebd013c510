"""Free streams of every rhythm: what a back end writes, and when. By a seed.

Nothing between holds them, so no doctor may say so. As data they go through a network
that is made up here, and over real sockets by an origin that plays them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from proxy.tools.doctor.record import Arrival, ProbeRecording

EVENTS = ("Content-Type", "text/event-stream")
LINES = ("Content-Type", "application/x-ndjson")
LENGTHS = (5.0, 60.0)  # seconds of an examination, at most
TOGETHER = 0.0001  # seconds between two writes of one turn
READ = 256 * 1024  # bytes; of the loop's transports


@dataclass(frozen=True)
class FreeStream:
    """One stream: its writes, each at its time since the request."""

    rhythm: str
    writes: tuple[tuple[float, bytes], ...]
    type: tuple[str, str] = EVENTS
    framing: str = "chunked"  # close: the end of the connection is that of the body
    tls: bool = False
    ended: float | None = None  # None: with the last write

    @property
    def end(self) -> float:
        return self.writes[-1][0] if self.ended is None else self.ended


def text(chooser: random.Random, number: int, size: int = 0) -> str:
    """What an event says; no two are alike."""
    words = "".join(chooser.choices("abcdefgh ", k=size or chooser.randint(1, 120)))
    return f"number {number} {words}."


def event(chooser: random.Random, number: int, size: int = 0) -> bytes:
    return f"data: {text(chooser, number, size)}\n\n".encode()


def timed(
    chooser: random.Random, gaps: Iterator[float] | list[float], first: float = 0.0
) -> tuple[tuple[float, bytes], ...]:
    """An event at each of these distances."""
    times = accumulate(gaps, initial=first)
    return tuple((at, event(chooser, number)) for number, at in enumerate(times))


def steady(chooser: random.Random) -> FreeStream:
    every = chooser.uniform(0.02, 0.6)
    count = min(int(chooser.uniform(2, 4.5) / every), 150)
    return FreeStream("steady", timed(chooser, [every] * max(count, 4)))


def jittered(chooser: random.Random) -> FreeStream:
    """Each gap by chance: as a queue, a fair one or one with long tails."""
    mean = chooser.uniform(0.03, 0.3)
    draw: Callable[[], float] = chooser.choice(
        (
            lambda: chooser.expovariate(1 / mean),
            lambda: chooser.uniform(0, 2 * mean),
            lambda: min(chooser.paretovariate(1.2) * mean / 4, 2.0),
        )
    )
    gaps = [draw() for _ in range(int(4 / mean))]
    return FreeStream("jittered", timed(chooser, gaps, draw()))


def bursts(chooser: random.Random) -> FreeStream:
    """A sender's own groups, all of one size, the first at once."""
    size, every = chooser.randint(2, 12), chooser.uniform(0.15, 1.0)
    groups = max(int(4.5 / every), 4)
    return FreeStream("bursts", grouped(chooser, [size] * groups, every))


def loose_bursts(chooser: random.Random) -> FreeStream:
    """Groups of about one size, at about one distance."""
    size, every = chooser.randint(3, 8), chooser.uniform(0.2, 0.9)
    sizes = [size + chooser.randint(-1, 1) for _ in range(max(int(4 / every), 4))]
    return FreeStream("loose bursts", grouped(chooser, sizes, every, spread=0.2))


def snapshot_and_ticks(chooser: random.Random) -> FreeStream:
    """All there is, and then the same kinds of event at every tick."""
    names = ["cpu", "memory", "disk", "net"][: chooser.randint(2, 4)]
    every = chooser.uniform(0.2, 0.8)
    past = [event(chooser, number) for number in range(chooser.randint(5, 60))]
    writes = [(0.0, b"".join(past))]
    for tick in range(1, max(int(4.5 / every), 5)):
        for name in names:
            said = f"event: {name}\n".encode() + event(chooser, tick, 20)
            writes.append((tick * every, said))
    return FreeStream("snapshot and ticks", tuple(writes))


def grouped(
    chooser: random.Random, sizes: list[int], every: float, spread: float = 0.0
) -> tuple[tuple[float, bytes], ...]:
    """Groups of events: in one write, or one write for each event."""
    joined = chooser.random() < 0.5
    writes: list[tuple[float, bytes]] = []
    at, number = 0.0, 0
    for size in sizes:
        group = [event(chooser, number + each) for each in range(size)]
        number += size
        if joined:
            writes.append((at, b"".join(group)))
        else:
            writes += [(at + TOGETHER * n, one) for n, one in enumerate(group)]
        at += every * (1 + chooser.uniform(-spread, spread))
    return tuple(writes)


def slow(chooser: random.Random) -> FreeStream:
    every = chooser.uniform(1.0, 2.0)
    return FreeStream("slow", timed(chooser, [every] * chooser.randint(2, 4)))


def one_and_silence(chooser: random.Random) -> FreeStream:
    return FreeStream("one and silence", timed(chooser, []), ended=5.0)


def ends_at_once(chooser: random.Random) -> FreeStream:
    count = chooser.randint(1, 40)
    return FreeStream("ends at once", timed(chooser, [0.0] * count))


def comments(chooser: random.Random) -> FreeStream:
    every = chooser.uniform(0.2, 1.0)
    writes = tuple((n * every, b": ping\n\n") for n in range(max(int(4 / every), 4)))
    return FreeStream("comments", writes)


def huge(chooser: random.Random) -> FreeStream:
    """Events of up to some MiB."""
    size = chooser.choice((200_000, 500_000, 1_200_000))
    every = chooser.uniform(0.4, 0.9)
    filler = b"x" * size
    writes = tuple((n * every, b"data: %d %b\n\n" % (n, filler)) for n in range(5))
    return FreeStream("huge", writes)


def accelerating(chooser: random.Random) -> FreeStream:
    factor = chooser.uniform(0.7, 0.95)
    first = chooser.uniform(0.3, 0.8)
    gaps = [first * factor**n for n in range(chooser.randint(20, 80))]
    return FreeStream("accelerating", timed(chooser, within(gaps)))


def decelerating(chooser: random.Random) -> FreeStream:
    factor = chooser.uniform(1.05, 1.4)
    gaps = [0.001 * factor**n for n in range(100)]
    first = chooser.choice((0.0, chooser.uniform(0.0, 0.6)))
    return FreeStream("decelerating", timed(chooser, within(gaps), first))


def within(gaps: list[float]) -> list[float]:
    """As many as take no more than some seconds."""
    return [
        gap for gap, at in zip(gaps, accumulate(gaps), strict=True) if at < LENGTHS[0]
    ]


def tokens(chooser: random.Random) -> FreeStream:
    """A model: it thinks, and then one to three tokens at a time."""
    every = chooser.uniform(0.015, 0.06)
    at, number = chooser.uniform(0.1, 1.5), 0
    writes = []
    while at < 4:
        for _ in range(chooser.choice((1, 1, 1, 2, 3))):
            writes.append((at, event(chooser, number, 12)))
            number += 1
        at += every * chooser.uniform(0.5, 1.6)
    return FreeStream("tokens", tuple(writes))


def two_speeds(chooser: random.Random) -> FreeStream:
    """A phase of quick events, a pause, a phase of slow ones."""
    quick = [chooser.uniform(0.01, 0.04)] * chooser.randint(10, 40)
    gaps = [*quick, chooser.uniform(0.5, 1.5), *[chooser.uniform(0.2, 0.4)] * 6]
    return FreeStream("two speeds", timed(chooser, gaps))


RHYTHMS: tuple[Callable[[random.Random], FreeStream], ...] = (
    steady,
    jittered,
    bursts,
    loose_bursts,
    snapshot_and_ticks,
    slow,
    one_and_silence,
    ends_at_once,
    comments,
    huge,
    accelerating,
    decelerating,
    tokens,
    two_speeds,
)


def free_stream(seed: int) -> FreeStream:
    """The stream of a seed: each rhythm in turn, in a form by chance."""
    chooser = random.Random(seed)
    found = RHYTHMS[seed % len(RHYTHMS)](chooser)
    form = chooser.choice(("plain", "plain", "crlf", "close", "lines", "tls"))
    if form == "crlf":
        return replace(found, writes=mapped(found, lambda d: d.replace(b"\n", b"\r\n")))
    if form == "close":
        return replace(found, framing="close")
    if form == "tls":
        return replace(found, tls=True, framing=chooser.choice(("close", "chunked")))
    if form == "lines" and found.rhythm not in ("comments", "snapshot and ticks"):
        return replace(found, type=LINES, writes=mapped(found, as_lines))
    return found


def mapped(
    stream: FreeStream, change: Callable[[bytes], bytes]
) -> tuple[tuple[float, bytes], ...]:
    return tuple((at, change(data)) for at, data in stream.writes)


def as_lines(data: bytes) -> bytes:
    """The same events as lines of JSON."""
    events = [each for each in data.split(b"\n\n") if each]
    return b"".join(b'{"text": "%b"}\n' % each[6:] for each in events)


# -- a network that is made up ------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """What lies between: time, its spread, pauses of a busy machine, cut reads."""

    latency: float = 0.001
    jitter: float = 0.0
    pauses: float = 0.0  # seconds of the longest
    rate: float = 1e9  # bytes a second
    seed: int = 0


def received(stream: FreeStream, network: Network) -> ProbeRecording:
    """The recording of a stream behind a network that keeps the order."""
    chooser = random.Random(network.seed)
    arrivals: list[Arrival] = []
    free_at, stalled = 0.0, 0.0
    for written, data in stream.writes:
        way = network.latency + chooser.uniform(0, network.jitter)
        at = max(written + way, free_at)
        if network.pauses and at >= stalled and chooser.random() < 0.03:
            stalled = at + chooser.uniform(0, network.pauses)
        at = max(at, stalled)
        for start in range(0, len(data), READ):
            part = data[start : start + READ]
            at += len(part) / network.rate
            last = arrivals[-1] if arrivals else None
            if last is not None and at - last.at < 0.0003 and last.size < READ:
                joined = last.data + part
                arrivals[-1] = Arrival(last.at, len(joined), joined)
            else:
                arrivals.append(Arrival(at, len(part), part))
        free_at = at
    return ProbeRecording(
        url="http://127.0.0.1:8080/events",
        connected=network.latency,
        head=network.latency,
        status=200,
        version="HTTP/1.1",
        fields=(stream.type,),
        arrivals=tuple(arrivals),
        ended=max(stream.end + network.latency, free_at),
        ending="stopped" if stream.ended else "complete",
    )
