"""What is asked of a proxy, and what came of it. Knows no process."""

from __future__ import annotations

from dataclasses import dataclass

PACED = ("streams", "eventsource", "coded", "fanout")  # events at fixed times
LEFT = ("kept", "ended")  # streams that their clients leave
CHECKED = (
    "streams",
    "eventsource",
    "lockstep",
    "fanout",
    "lives",
)  # every event, in order


@dataclass(frozen=True)
class Load:
    """One run of the load program. `mode` and numbers as in bench/load/main.c."""

    mode: str
    count: int
    rate: float = 0
    seconds: float = 0
    coding: str = ""  # of the events, in mode `coded`
    workers: int = 1  # two: on two cores, which the load program shares
    watched: bool = False  # with the inspector's feed open
    record: str = ""  # what the inspector records; empty: what somebody looks at
    direct: bool = False  # also without a proxy, for comparison
    sessions: int = 0  # HTTP/2 over TLS, on so many connections; 0: HTTP/1.1
    tls: str = ""  # HTTP/1.1 over TLS: "tls", or "resumed" by an earlier session
    route: str = ""  # what Unbuffered's route asks for beside its target
    stored: bool = False  # kept in a Redis of the run's own
    follows: bool = False  # another process has the stream, of the same store
    once: bool = False  # in the first round only: slow, and not for a target
    only: tuple[str, ...] = ()  # these peers; empty: all

    def __str__(self) -> str:
        """As it is told in progress lines and remarks."""
        words = [self.mode, self.coding, f"{self.count:,}"]
        words.append(f"on {self.sessions} of HTTP/2" if self.sessions else "")
        words.append({"": "", "tls": "over TLS"}.get(self.tls, f"over TLS, {self.tls}"))
        if self.paced or (self.mode == "lives" and self.rate):
            words.append(f"× {self.rate:g}/s")
        if self.mode in LEFT:
            words.append(f"× {self.rate:g}")
        words.append("two workers" if self.workers > 1 else "")
        words.append("watched" if self.watched else "")
        words.append(f'record = "{self.record}"' if self.record else "")
        words.append(self.route if self.mode != "fanout" else "")
        words.append("stored" if self.stored else "")
        words.append("elsewhere" if self.follows else "")
        return " ".join(word for word in words if word)

    @property
    def paced(self) -> bool:
        """Whether it comes at fixed times, however soon the last one was done."""
        return self.mode in PACED or (self.mode == "requests" and self.rate > 0)

    @property
    def secure(self) -> bool:
        """Whether it needs TLS in the load program."""
        return bool(self.sessions or self.tls)

    @property
    def guard(self) -> float:
        """Seconds after which it is ended: 60 to connect, 60 for bodies."""
        return self.seconds + 130

    @property
    def about(self) -> float:
        """Seconds that one run takes, roughly: start, connect, run, end."""
        slack = {"bulk": 3.0, "leaving": 3.0}.get(self.mode, 0.0)
        if self.mode in LEFT:  # every event is read, and once more by whom is back
            slack = 3.0 + self.count * self.rate * 60e-6
        return 2.0 + self.seconds + self.count * 0.0015 + slack


@dataclass(frozen=True)
class Outcome:
    """What one run gave. Times in seconds, memory in bytes."""

    cpu: float  # processor time of the proxy
    memory: int  # grown since its start
    told: dict[str, float]  # by the load program
    wall: float = 0.0  # all in all, with start and end

    @property
    def pieces(self) -> float:
        """Pieces or responses that came through; nan for none."""
        return self.told["received"] or float("nan")


def marks(load: Load, outcome: Outcome) -> list[str]:
    """What is to be said beside a number of this run; empty: nothing."""
    found = []
    told = outcome.told
    if told["errors"]:
        found.append(f"{told['errors']:.0f} errors")
    if load.mode in CHECKED:
        found += order_marks(told)
    if load.paced:
        found += pace_marks(load, outcome)
    if told["busy"] > 0.9 and load.workers == 1:
        found.append(f"the load program used {told['busy']:.0%} of its core")
    return found


def order_marks(told: dict[str, float]) -> list[str]:
    """Whether each client got each piece once, and in order."""
    missing = told["sent"] - told["received"]
    found = [f"{missing:.0f} pieces not through 5 s after the end"] if missing else []
    if told["skipped"]:
        found.append(f"{told['skipped']:.0f} pieces not before the next one")
    if told["doubled"]:
        found.append(f"{told['doubled']:.0f} pieces a second time")
    return found


def pace_marks(load: Load, outcome: Outcome) -> list[str]:
    """Where the pace was not kept, by the proxy or by the load program."""
    found = []
    joined = outcome.told["joined"] / (outcome.told["received"] or 1)
    if joined > 0.05:
        found.append(f"{joined:.0%} of the pieces came together with an earlier one")
    used = outcome.cpu / load.seconds
    if used > 0.95:
        found.append(f"saturated, {used:.0%} of its core: pieces queue up and join")
    each = load.count if load.mode == "fanout" else 1  # clients of one event
    late = outcome.told["late"] / (outcome.told["sent"] / each or 1)
    what = "requests" if load.mode == "requests" else "events"
    if late > 0.01:
        found.append(f"{late:.0%} of the {what} were written over 1 ms late")
    return found
