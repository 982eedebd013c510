"""Responses and events as a script writes them: their bytes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias, get_args

from proxy.http1.grammar import Fields
from proxy.http1.head_text import CHUNKED
from proxy.origin.script_values import (
    ScriptError,
    TextFields,
    head_fields,
    head_text,
    one_of,
    shown,
    utf8,
    whole_number,
)

EVENT_STREAM = "text/event-stream"
DIGITS = re.compile("[0-9]+")
LINE_END = re.compile("\r\n|\r|\n")  # no other one: U+2028 is text

AnswerFraming: TypeAlias = Literal["chunked", "length", "close"]
AnswerEnd: TypeAlias = Literal["complete", "fin", "reset", "open"]
FRAMINGS: tuple[str, ...] = get_args(AnswerFraming)
ENDS: tuple[str, ...] = get_args(AnswerEnd)


@dataclass(frozen=True, slots=True)
class FixedAnswer:
    """What is always answered at a path."""

    line: bytes
    fields: Fields
    pieces: Sequence[bytes]
    end: AnswerEnd


def status_line(call: str, status: int, reason: str | None = None) -> bytes:
    """The first line of a response.

    Raises:
        ScriptError: the reason cannot be sent.
    """
    if reason is None:
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
    return b"HTTP/1.1 %d " % status + head_text(call, "reason", reason)


def response_fields(
    call: str,
    status: int,
    fields: TextFields,
    content_type: str,
    framing: AnswerFraming,
    length: int | None,
) -> Fields:
    """Fields of a response; those that are given come last, and replace a default.

    Raises:
        ScriptError: one of them cannot be sent.
    """
    given = head_fields(call, "fields", fields)
    kind = head_text(call, "content_type", content_type)
    one_of(call, "framing", framing, FRAMINGS)
    size = None if length is None else whole_number(call, "length", length)
    names = {name.lower() for name, _ in given}
    sent: Fields = []
    if kind and status not in (204, 304) and b"content-type" not in names:
        sent.append((b"Content-Type", kind))
    if names & {b"content-length", b"transfer-encoding"} or status in (204, 304):
        return sent + given
    if framing == "chunked":
        sent.append(CHUNKED)
    elif framing == "close":
        sent.append((b"Connection", b"close"))
    elif size is None:
        raise ScriptError(f'{call}(): framing "length" needs length=…')
    else:
        sent.append((b"Content-Length", b"%d" % size))
    return sent + given


def event_bytes(
    data: object,
    event: str | None = None,
    id: str | int | None = None,
    retry: int | None = None,
) -> bytes:
    """One event of an event stream (WHATWG HTML §9.2).

    Each line of the data is a field of its own, whatever ends it: CR, LF or both. So a
    client has LF in its place.

    Raises:
        ScriptError: a value cannot be sent as it is.
    """
    for name, value in (("event", event), ("id", id)):
        text = str(value)
        if LINE_END.search(text):
            raise ScriptError(
                f"send_event(): {name} has a line end: {text!r}; a client would "
                "take what is behind it for another field"
            )
        if "\0" in text:  # a client ignores such an id; an event cannot be meant
            raise ScriptError(f"send_event(): {name} has a NUL: {text!r}")
    if retry is not None and not DIGITS.fullmatch(str(retry)):
        raise ScriptError(f"send_event(): retry is not a number of ms: {retry!r}")
    lines = [
        f"{name}: {value}"
        for name, value in (("event", event), ("id", id), ("retry", retry))
        if value is not None
    ]
    fields = utf8("send_event", "event or id", "".join(f"{line}\n" for line in lines))
    texts = LINE_END.split(data_text(data))
    body = "".join(f"data: {line}\n" for line in texts)
    return fields + utf8("send_event", "data", f"{body}\n")


def data_text(data: object) -> str:
    """The data of an event: text, or what JSON makes of it.

    Raises:
        ScriptError: it is neither.
    """
    if isinstance(data, str):
        return data
    try:
        return json.dumps(data, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ScriptError(
            f"send_event(): data: expected text, or what JSON can say, got "
            f"{shown(data)}: {error}"
        ) from None
