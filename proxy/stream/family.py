"""What a protocol family is, and how its events are read and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from proxy.stream.recent_events import Item
from proxy.timeline import ModelAnswer


class StreamVerdict(Enum):
    """How a stream of a known family ended, by its own events."""

    COMPLETE = "complete"
    ERROR = "error"  # told by the upstream, inside its stream
    TRUNCATED = "truncated"  # well framed, but without what ends it


COMPLETE, ERROR, TRUNCATED = StreamVerdict


@dataclass(frozen=True, slots=True)
class Told:
    """A failure as it is told. `type`: as RFC 9209 §2.3 has it; `reason`: in words.

    `route`: "" where the client is not told it.
    """

    type: str
    reason: str
    route: str
    request: Any = None  # the JSON of its body, where that is known
    request_id: str = ""  # by which all logs know it; "": requests have none


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """How the events of a family tell of a model's answer: see `model_answers`.

    `read`: notes what one event says of the whole. `is_token`: has it output of the
    model, thoughts and calls of tools among it? `provider` and `operation`: by
    OpenTelemetry's conventions.
    """

    provider: str
    operation: str
    read: Callable[[Item, ModelAnswer], None]
    is_token: Callable[[Item], bool]


@dataclass(frozen=True, slots=True)
class ProtocolFamily:
    """One row.

    `complete`: is the stream complete, by its last events? None: nobody can tell.
    `failed`: is this event an error? `failure`: the bytes that tell of a failure,
    behind the first event and these last ones; None: there is no form for it, and
    the connection is aborted. `raises`: every client of it raises on them, so the
    response may end cleanly behind them; `aborts_badly`: it has to, since an abort
    takes a client of it down. `ends_get`: a GET of it has an end, too. `resumes`: a
    client that has seen an id of an event asks for the rest by another request.
    """

    name: str  # in logs and metrics
    title: str
    recognised_by: str
    complete_when: str
    recognises: Callable[[Item], bool]
    complete: Callable[[Sequence[Item]], bool] | None
    failed: Callable[[Item], bool]
    failure: Callable[[Told, Item | None, Sequence[Item]], bytes | None]
    raises: bool = True
    aborts_badly: bool = False
    ends_get: bool = True
    resumes: bool = False
    lines: bool = False  # NDJSON; otherwise an event stream
    field: bytes | None = None  # of the response head; only this family has it
    answer: AnswerReader | None = None  # if it carries answers of models

    def verdict(
        self, first: Item | None, items: Sequence[Item], *, whole: bool
    ) -> StreamVerdict | None:
        """Judge a stream by its first and its last events; None if they do not tell.

        `whole`: the response was well framed to its end. To call a stream truncated
        that is complete is worse than not to notice that one is.
        """
        if self.complete is None:
            return None
        if any(self.failed(item) for item in items):
            return ERROR
        if self.complete(items) or any(map(is_done, items)):
            return COMPLETE
        if not whole or (items and not items[-1].whole):
            return None  # what was not kept may have told it
        if self.resumes and has_id(first, items):
            return None
        return TRUNCATED


# -- reading


def has_id(first: Item | None, items: Sequence[Item]) -> bool:
    """Has its client seen an id of an event?"""
    return bool(first is not None and first.id) or any(item.id for item in items)


def kind(item: Item) -> str:
    """The `type` member of the data, or of the event where that is not whole."""
    found = item.members.get("type")
    if isinstance(found, str):
        return found
    return item.type


def is_kind(*kinds: str) -> Callable[[Item], bool]:
    """Is an event one of these kinds?"""
    return lambda item: kind(item) in kinds


def has_kind(*kinds: str) -> Callable[[Sequence[Item]], bool]:
    """Is one of the last events of these kinds?

    Not always the very last: pings and messages of a log may come behind it.
    """
    return lambda items: any(kind(item) in kinds for item in items)


def is_done(item: Item) -> bool:
    """The end of OpenAI's first API.

    Servers and gateways that speak several families send it behind the end of the
    others, too.
    """
    return item.data.startswith("[DONE]")


def has_error(item: Item) -> bool:
    """Has the data a member `error`?"""
    return bool(item.members.get("error"))


def never(_: Item) -> bool:
    """Nothing is recognised by its events."""
    return False


# -- writing


def id_of(told: Told) -> dict[str, object]:
    """The member that names the request, where it has an id."""
    return {"request_id": told.request_id} if told.request_id else {}


def event(value: object, name: str = "") -> bytes:
    """A whole event of one line of JSON (RFC 8259 §7: line feeds are escaped)."""
    data = b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"event: %b\n%b" % (name.encode("ascii"), data) if name else data
