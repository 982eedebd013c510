"""What was seen of one response: when it was asked for, and every arrival.

The doctor's own vocabulary. A `Recording` is all that the diagnosis looks at;
as JSON it is also a test's data. Times are seconds since the request was sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal[
    "complete",  # the body ended as its framing says
    "cut",  # the connection closed, or broke, before that
    "stopped",  # we had seen enough, or the person had (Ctrl-C)
    "no answer",  # no response head came, and none will
    "no head",  # nor did it while we waited
]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One read of the socket that brought content.

    `size` is what came over the wire as content, after the transfer coding and
    before the content coding is taken off; `data` is the content itself. `wire` is
    what it took on the connection, with the frames of chunks, messages and HTTP/2
    (behind TLS, not with its own); 0: not known.
    """

    at: float
    size: int
    data: bytes
    wire: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection that was followed."""

    status: int
    location: str


@dataclass(frozen=True, slots=True)
class ProbeRecording:
    """One request and what came back."""

    url: str
    method: str = "GET"
    request: tuple[tuple[str, str], ...] = ()
    label: str = ""
    connected: float | None = None  # how long the connection took
    head: float | None = None
    status: int = 0
    version: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    ended: float = 0.0
    ending: Ending = "no answer"
    fault: str = ""  # in words, where it went wrong
    redirects: tuple[Redirect, ...] = ()
    interims: tuple[int, ...] = ()  # 1xx heads before the real one
    websockets: bool = True  # may come by this connection, too
    product: str = ""  # recognised by what else it answers
    missing: str = ""  # of a file that it is from: what cannot be judged without
    account: tuple[str, ...] = ()  # what is to be said of that file
    note: str = field(default="", compare=False)  # how a stored trace was made

    def get(self, name: str) -> str | None:
        """The value of a response field, its repetitions joined."""
        found = [value for key, value in self.fields if key.lower() == name]
        return ", ".join(found) if found else None

    def asked(self, name: str) -> str | None:
        """The value of a request field."""
        found = [value for key, value in self.request if key.lower() == name]
        return ", ".join(found) if found else None

    @property
    def content(self) -> bytes:
        return b"".join(each.data for each in self.arrivals)

    @property
    def size(self) -> int:
        """Bytes of content over the wire."""
        return sum(each.size for each in self.arrivals)

    @property
    def type(self) -> str:
        """The media type, without parameters."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def coding(self) -> str:
        """The content coding, "" for none."""
        coding = (self.get("content-encoding") or "").strip().lower()
        return "" if coding in ("identity", "none") else coding

    @property
    def websocket(self) -> bool:
        """Was a WebSocket asked for?"""
        return self.url.startswith(("ws://", "wss://"))

    @property
    def answered(self) -> bool:
        return self.head is not None


def dump(recordings: list[ProbeRecording]) -> str:
    """Recordings as JSON, one arrival a line so that a person can read it."""
    texts = []
    for each in recordings:
        table = {
            key: getattr(each, key)
            for key in ProbeRecording.__slots__
            if key not in ("arrivals", "redirects", "missing", "account")
        }
        table["redirects"] = [[hop.status, hop.location] for hop in each.redirects]
        lines = ",\n".join(f"  {json.dumps(arrival_row(one))}" for one in each.arrivals)
        texts.append(
            json.dumps(table, indent=1)[:-2] + f',\n "arrivals": [\n{lines}\n ]\n}}'
        )
    return "[\n" + ",\n".join(texts) + "\n]\n"


def arrival_row(one: Arrival) -> list[float | int | str]:
    """An arrival as JSON; what it took on the connection only where that is known."""
    row: list[float | int | str] = [round(one.at, 6), one.size]
    row.append(one.data.decode("latin-1"))
    if one.wire:
        row.append(one.wire)
    return row


def load(text: str) -> list[ProbeRecording]:
    """Recordings from their JSON."""
    return [from_table(table) for table in json.loads(text)]


def from_table(table: dict[str, Any]) -> ProbeRecording:
    """One recording from its JSON object."""
    arrivals = tuple(
        Arrival(at, size, data.encode("latin-1"), *wire)
        for at, size, data, *wire in table.pop("arrivals")
    )
    redirects = tuple(Redirect(*each) for each in table.pop("redirects"))
    for name in ("request", "fields"):
        table[name] = tuple((key, value) for key, value in table[name])
    table["interims"] = tuple(table["interims"])
    return ProbeRecording(arrivals=arrivals, redirects=redirects, **table)
