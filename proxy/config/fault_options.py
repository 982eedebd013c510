"""What can be said of a fault: one thing that an upstream does wrong, on purpose.

For the route of a file, for `unbuffered replay --fault` and for tests. What a fault
does to a response is decided by `policy.fault_engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from proxy.config.fault_text import choice, described, expected, quoted, unknown
from proxy.config.units import Bytes, Seconds

FaultKind: TypeAlias = Literal[
    "fin",
    "reset",
    "clean_end",
    "no_terminal",
    "stall",
    "drip",
    "split",
    "coalesce",
    "duplicate",
    "late_head",
    "wrong_length",
    "status",
    "error_event",
    "compress",
]
KINDS: tuple[str, ...] = get_args(FaultKind)
MOST_HELD = 1024 * 1024  # bytes, of what is held together, or of one event
COALESCED = 64 * 1024  # bytes, where `size` says nothing
LEAST_HELD = 16  # bytes: a read would be too many writes
ALL = ("probability", "times")  # keys that every kind has
# Which other keys a kind heeds.
HEEDED: dict[str, tuple[str, ...]] = {
    "fin": ("after", "inside"),
    "reset": ("after", "inside"),
    "clean_end": ("after", "inside"),
    "no_terminal": (),
    "stall": ("after", "inside", "seconds"),
    "drip": ("after", "seconds", "size"),
    "split": ("after", "seconds"),
    "coalesce": ("after", "size"),
    "duplicate": ("after",),
    "late_head": ("seconds",),
    "wrong_length": ("size",),
    "status": ("status",),
    "error_event": ("after",),
    "compress": (),
}
# Of each of these a response has one: the first one that applies to it.
SINGLE = (
    "drip",
    "split",
    "coalesce",
    "late_head",
    "wrong_length",
    "status",
    "no_terminal",
    "compress",
)
# What undoes what the other one does, or has nothing to do it with.
AGAINST = {
    ("compress", "coalesce"): "what is compressed is held already",
    ("compress", "split"): "compressed bytes have neither characters nor lines",
    ("coalesce", "drip"): "one puts pieces together, the other one cuts them up",
    ("drip", "split"): "a drip cuts everywhere already",
}


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fault`: what the upstream does wrong in a response, on purpose."""

    kind: Annotated[
        FaultKind,
        Meta(
            description="fin, reset: the connection is closed, or reset, before the "
            "body is complete. clean_end: the body ends early, well framed. "
            "no_terminal: the body ends, well framed, before the event that completes "
            "it. stall: nothing more is sent. drip: size bytes at a time. split: reads "
            "end inside a UTF-8 character and between CR and LF. coalesce: events are "
            "held until size bytes are together. duplicate: an event is sent twice. "
            "late_head: the response head comes late. wrong_length: Content-Length is "
            "size, whatever the body has. status: another status in place of the "
            "response. error_event: the error event of the stream's protocol family, "
            "then the end. compress: gzip, held until the compressor gives something."
        ),
    ]
    after: Annotated[
        int,
        Meta(
            description="After how many complete events (or lines; messages of a "
            "WebSocket; pieces of other bodies) it happens or begins. 0: before the "
            "first. duplicate: which event is sent twice.",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 0
    inside: Annotated[
        bool,
        Meta(
            description="In the middle of the last of these events, instead of behind "
            "it."
        ),
    ] = False
    seconds: Annotated[
        Seconds,
        Meta(
            description="stall: for how long; 0: for ever. late_head: by how much. "
            "drip, split: between two writes; 0: the next turn of the event loop."
        ),
    ] = 0.0
    size: Annotated[
        Bytes,
        Meta(
            description="drip: bytes of one write (0: 1). coalesce: bytes that are "
            "held (0: 65536). wrong_length: what Content-Length says."
        ),
    ] = 0
    status: Annotated[
        int,
        Meta(description="The status of kind status.", ge=200, le=599),
    ] = 500
    probability: Annotated[
        float,
        Meta(
            description="The share of requests to which it applies, chosen by "
            "fault_seed.",
            gt=0,
            le=1,
        ),
    ] = 1.0
    times: Annotated[
        int,
        Meta(
            description="It applies to that many requests, counted in each worker, and "
            "then no more. 0: no limit.",
            ge=0,
        ),
    ] = 0

    @property
    def always(self) -> bool:
        """Does it apply to every request?"""
        return self.probability >= 1 and self.times == 0

    @property
    def ends(self) -> bool:
        """Does nothing of the response come behind it?"""
        if self.kind == "stall":
            return self.seconds == 0
        return self.kind in ("fin", "reset", "clean_end", "error_event")

    @property
    def place(self) -> tuple[int, int]:
        """Where it happens, among the other faults of a response.

        At the same place an event is sent twice, then a stall takes its time, then
        the response ends; what begins there comes behind all of it.
        """
        if self.kind in ("late_head", "wrong_length", "status", "compress"):
            return (-1, 0)
        if self.kind == "no_terminal":
            return (1, -1)
        rank = 3
        if self.ends:
            rank = 2
        elif self.kind in ("duplicate", "stall"):
            rank = int(self.kind == "stall")
        return (2 * self.after - self.inside, rank)

    def __str__(self) -> str:
        """In words, for the banner."""
        parts = [in_words(self)]
        if self.probability < 1:
            parts.append(f"for {self.probability * 100:.6g} % of requests")
        if self.times:
            parts.append(f"for {count(self.times, 'request')}")
        return ", ".join(parts)


FIELDS = {each.encode_name: each for each in msgspec.structs.fields(Fault)}


class Problem(NamedTuple):
    """What is wrong with one of several faults, counted from 0. `key` may be empty."""

    position: int
    key: str
    message: str


# -- checks


def problems(faults: Sequence[Fault]) -> Iterator[Problem]:
    """What is wrong with each fault by itself, then with all of them together.

    One that was made in Python may have any value: nothing is taken for granted.
    """
    found = [
        Problem(position, key, message)
        for position, fault in enumerate(faults)
        for key, message in own_problems(fault)
    ]
    yield from found or combined_problems(faults)


def own_problems(fault: Fault) -> Iterator[tuple[str, str]]:
    """What is wrong with one fault: keys, and messages."""
    wrong = list(wrong_values(fault))
    yield from wrong
    if wrong:
        return
    kind, heeded = fault.kind, (*HEEDED[fault.kind], *ALL)
    for key, each in FIELDS.items():
        value = getattr(fault, key)
        if key != "kind" and key not in heeded and value != each.default:
            named = choice([name for name in KINDS if key in HEEDED[name]])
            yield key, f"has no effect with kind = {quoted(kind)}, only with {named}"
    if fault.inside and "inside" in heeded and not fault.after:
        yield "inside", "needs after = 1 or more: the event that is cut"
    if kind == "duplicate" and not fault.after:
        yield "after", "needs 1 or more: the event that is sent twice"
    if kind == "late_head" and not fault.seconds:
        yield "seconds", "needs a number greater than 0: by how much the head is late"
    if kind == "wrong_length" and not fault.size:
        yield "size", "needs 1 or more: what Content-Length says"
    if kind == "drip" and fault.size > MOST_HELD:
        yield "size", f'expected {MOST_HELD} or less with kind = "drip"'
    if kind == "coalesce" and fault.size and not LEAST_HELD <= fault.size <= MOST_HELD:
        yield "size", f'expected {LEAST_HELD} to {MOST_HELD} with kind = "coalesce"'
    if fault.status < 400 and fault.status != 204:
        yield "status", "expected 204, or a status from 400 to 599"


def wrong_values(fault: Fault) -> Iterator[tuple[str, str]]:
    """The keys whose values are not of their types."""
    for key, each in FIELDS.items():
        value = getattr(fault, key)
        try:
            if msgspec.convert(value, each.type) == float("inf"):
                raise msgspec.ValidationError
        except msgspec.ValidationError:
            yield key, f"expected {expected(each.type)}, got {described(value)}"


def combined_problems(faults: Sequence[Fault]) -> Iterator[Problem]:
    """The faults that another one leaves nothing to do."""
    for position, fault in enumerate(faults):
        for other, before in enumerate(faults):
            message = against(fault, before, later=position > other)
            if other != position and message is not None:
                name = f"fault {other + 1} ({before})"
                yield Problem(position, "", message.format(name))
                break


def against(fault: Fault, other: Fault, *, later: bool) -> str | None:
    """Why a fault makes no sense beside another one that is told of as {}.

    `later`: it stands behind it. Each pair is told of once.
    """
    pair = (other.kind, fault.kind)
    reason = AGAINST.get(pair) or AGAINST.get((fault.kind, other.kind))
    if reason is not None and later:
        return f"cannot be combined with {{}}: {reason}"
    if not other.always:
        return None
    if fault.kind == other.kind and fault.kind in SINGLE:
        return "never applies: {} always does" if later else None
    if other.kind == "status" and fault.kind != "late_head":
        return "never applies: {} is sent in place of each response"
    if other.ends and fault.place >= other.place and fault.kind != "status":
        same = fault.ends and fault.place == other.place
        return None if same and not later else "never reached: {} comes before it"
    return None


def check_faults(faults: Sequence[Fault]) -> None:
    """Refuse faults that are wrong, or make no sense together.

    Raises:
        ValueError: has a line for each thing that is wrong.
    """
    lines = []
    for position, key, message in problems(faults):
        place = f"fault {position + 1}: " if len(faults) > 1 else "fault: "
        lines.append(f"{place}{key}{': ' if key else ''}{message}")
    if lines:
        raise ValueError("\n".join(lines))


# -- from a command line


def parse_fault(text: str) -> Fault:
    """The fault that an argument such as `kind=fin,after=3,inside=true` describes.

    Raises:
        ValueError: says what is wrong with it, on one line.
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, raw = (each.strip() for each in part.partition("="))
        if not equals:
            kind = key if "after" in HEEDED.get(key, ()) else "fin"
            raise ValueError(
                f"expected key=value, got {quoted(key)}: write kind={kind},after=3"
            )
        if key not in FIELDS:
            raise ValueError(f"{key}: {unknown(key, FIELDS, {}, foreign=False)}")
        if key in values:
            raise ValueError(f"{key}: this key is set twice")
        each = FIELDS[key]
        try:
            values[key] = msgspec.convert(raw, each.type, strict=False)
        except msgspec.ValidationError:
            wanted = expected(each.type)
            raise ValueError(f"{key}: expected {wanted}, got {quoted(raw)}") from None
    if "kind" not in values:
        raise ValueError(f"kind: missing: expected {choice(KINDS)}")
    fault = Fault(**values)
    for key, message in own_problems(fault):
        raise ValueError(f"{key}: {message}")
    return fault


# -- words


def count(number: int, noun: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def in_words(fault: Fault) -> str:
    """What it does, and where, in a few words."""
    kind: str = fault.kind
    where = f" after {count(fault.after, 'event')}"
    if fault.inside:
        where = f" inside event {fault.after}"
    elif not fault.after:
        begins = kind in ("drip", "split", "coalesce")
        where = "" if begins else " before the first event"
    seconds = f"{fault.seconds:.15g} s"
    match kind:
        case "stall" if fault.seconds:
            kind = f"stall for {seconds}"
        case "drip":
            pace = f" every {seconds}" if fault.seconds else " at a time"
            kind = f"drip of {count(fault.size or 1, 'byte')}{pace}"
        case "coalesce":
            kind = f"coalesce to {fault.size or COALESCED} bytes"
        case "duplicate":
            return f"duplicate of event {fault.after}"
        case "late_head":
            return f"late_head by {seconds}"
        case "wrong_length":
            return f"wrong_length of {count(fault.size, 'byte')}"
        case "status":
            return f"status {fault.status}"
    return f"{kind}{where}" if "after" in HEEDED[fault.kind] else kind
