"""What the test origin plays: streams whose timing is known in advance.

Each event carries its number and the time at which it was sent, counted from
the arrival of the request, so that whoever receives it can tell how long it
was on its way without a common clock.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

VOCABULARY = """
stream proxy buffer event piece hold head gap chunk flush first byte late early token
answer browser server window socket packet frame moment silent
"""
WORDS = VOCABULARY.split()
TYPES = {
    "events": "text/event-stream; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "openai": "text/event-stream; charset=utf-8",
}
CODINGS = ("identity", "gzip", "deflate")
MAX_COUNT = 100_000
MAX_SECONDS = 3600.0
MAX_SIZE = 1024 * 1024
SMALLEST = 250  # bytes of an event whose length is declared: its marks fit


class ProgramError(Exception):
    """A parameter that cannot be: which, and what can."""


@dataclass(frozen=True, slots=True)
class Program:
    """One stream. Seconds, bytes."""

    name: str = "steady"
    about: str = ""
    type: str = "events"
    count: int = 16
    every: float = 0.25  # between two events
    size: int = 120  # of an event, about
    quiet: float = 0.0  # after the head, before the first event
    silent: float = 0.0  # in the middle
    coding: str = "identity"  # gzip and deflate are flushed after each event
    framing: str = "chunked"  # length: a Content-Length is declared
    ping: float = 0.0  # between two comments, or ping frames; 0: none
    hello: int = 0  # 1: something that clients ignore, immediately after the head

    @property
    def length(self) -> int:
        """The Content-Length that is declared, 0 for none."""
        declared = self.framing == "length" and self.coding == "identity"
        return self.count * self.size + len(self.end()) if declared else 0

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.quiet + self.silent + self.every * max(self.count - 1, 0)

    @property
    def comments(self) -> bool:
        """May a comment be sent between two events?"""
        return self.type in ("events", "openai") and not self.length

    def greeting(self) -> bytes:
        """What is sent with the head: a comment, or an empty line."""
        if not self.hello or self.length:
            return b""
        return b": hello\n\n" if self.comments else b"\n"

    def pause_before(self, number: int) -> float:
        """How long to wait before the event of that number; the first is 1."""
        pause = self.quiet if number == 1 else self.every
        return pause + (self.silent if number == self.count // 2 + 1 else 0.0)

    def event(self, number: int, sent: float) -> bytes:
        """The bytes of one event that is sent `sent` seconds after the request."""
        mark: dict[str, object] = {
            "n": number,
            "of": self.count,
            "sent_ms": round(sent * 1000, 1),
        }
        text = words(number, self.room())
        if self.type == "openai":
            choice = {"index": 0, "delta": {"content": f"{text} "}}
            mark |= {"object": "chat.completion.chunk", "choices": [choice]}
        else:
            mark["text"] = text
        line = json.dumps(mark)
        if self.type not in ("events", "openai"):
            return self.exactly(f"{line}\n".encode(), 1)
        return self.exactly(f"id: {number}\ndata: {line}\n\n".encode(), 2)

    def exactly(self, event: bytes, end: int) -> bytes:
        """Make it as long as was declared; blanks before the line's end do no harm."""
        if not self.length:
            return event
        return event[:-end].ljust(self.size - end) + event[-end:]

    def room(self) -> int:
        """Bytes for the text of an event."""
        return self.size - (100 if self.length else 50)

    def end(self) -> bytes:
        """What follows the last event."""
        return b"data: [DONE]\n\n" if self.type == "openai" else b""


def words(seed: int, size: int) -> str:
    """So many bytes of words, the same for the same seed, hard to compress."""
    chooser = random.Random(seed)
    text = ""
    while len(text) < size:
        text += f"{chooser.choice(WORDS)}{chooser.randrange(1000)} "
    return text[: max(size, 0)].rstrip()


PROGRAMS = {
    program.name: program
    for program in (
        Program("steady", "an event every quarter of a second"),
        Program("fast", "small events, 40 a second, like LLM tokens", "openai",
                count=160, every=0.025, size=90),
        Program("slow", "an event every two seconds", count=4, every=2.0),
        Program("large", "events of 6 KiB", count=10, every=0.4, size=6 * 1024),
        Program("ndjson", "lines of JSON", "ndjson"),
        Program("text", "lines of text/plain", "text"),
        Program("openai", "a language model's answer", "openai", size=200),
        Program("gzip", "compressed by the back end, flushed after each event",
                coding="gzip"),
        Program("length", "lines of JSON with a Content-Length", "ndjson", size=400,
                framing="length"),
        Program("late", "the head immediately, the first event after two seconds",
                count=8, quiet=2.0),
        Program("silent", "silent in the middle; ?silent=65 for longer",
                count=6, silent=4.0),
    )
}  # fmt: skip

BOUNDS = {
    "count": (1, MAX_COUNT),
    "every": (0, MAX_SECONDS),
    "size": (1, MAX_SIZE),
    "quiet": (0, MAX_SECONDS),
    "silent": (0, MAX_SECONDS),
    "ping": (0, MAX_SECONDS),
    "hello": (0, 1),
}
CHOICES = {
    "type": tuple(TYPES),
    "coding": CODINGS,
    "framing": ("chunked", "length"),
}


def chosen(path: str, query: Mapping[str, str]) -> Program | None:
    """The program that a request asks for; None if it asks for none.

    `?stream=NAME`, or the last segment of the path: a proxy before the origin
    may have put anything in front of it.

    Raises:
        ProgramError: a parameter that cannot be.
    """
    name = query.get("stream") or path.rstrip("/").rpartition("/")[2]
    program = PROGRAMS.get(name)
    if program is None:
        if "stream" in query:
            raise ProgramError(f"no stream {name!r}; choose from {', '.join(PROGRAMS)}")
        if not set(query) & (set(BOUNDS) | set(CHOICES)):
            return None
        program = PROGRAMS["steady"]
    changes: dict[str, object] = {}
    kinds = {each.name: each.type for each in fields(Program)}
    for key, text in query.items():
        if key in CHOICES:
            if text not in CHOICES[key]:
                raise ProgramError(f"{key}={text}: one of {', '.join(CHOICES[key])}")
            changes[key] = text
        elif key in BOUNDS:
            changes[key] = number(key, text, whole=kinds[key] == "int")
    program = replace(program, **changes)  # type: ignore[arg-type]  # checked above
    if program.framing == "length" and program.size < SMALLEST:
        raise ProgramError(f"size={program.size}: at least {SMALLEST} with a length")
    return program


def number(key: str, text: str, *, whole: bool) -> float | int:
    """A number within its bounds."""
    low, high = BOUNDS[key]
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise ProgramError(f"{key}={text}: not a number") from None
    if not low <= value <= high:
        raise ProgramError(f"{key}={text}: from {low:g} to {high:g}")
    return value
