"""Exchanges of a HAR as records: what browsers, and others, save of their network.

A HAR is what a browser has seen: a body without its content coding, and, but for a
WebSocket and for the events that Chromium notes, without the time of any piece. What a
record cannot know therefore, it says: see `UNKNOWN`. A HAR that `har_writer` made has
the whole record in it, and gives it back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from msgspec import DecodeError, ValidationError, convert, json

from proxy import __version__
from proxy.observe.redaction import masked_target
from proxy.record.format import ExchangeRecord, RecordedRequest, RecordFault, Unknown
from proxy.record.har_format import HarEntry, HarRequest
from proxy.record.har_response import ResponseItems
from proxy.record.har_values import (
    HarAddress,
    address_of,
    method_of,
    post_bytes,
    recorded_pairs,
    version_of,
)
from proxy.record.record_reader import BOM, in_order, read_record

OF_HAR = "of a HAR"  # in what a record says of who wrote it
# In this order: a backslash that is meant, a whole pair of surrogates, half of one.
ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
HALF = len(r"\ud800")  # and no other of them is as long


class HarFile:
    """The entries of a HAR, by their numbers from 1 on; each is read when asked for.

    Raises:
        RecordFault: it is not a HAR; the message names the file and the key.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        try:
            table = decoded(data.removeprefix(BOM))
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = str(error).removeprefix("JSON is malformed: ")
            raise RecordFault(f"{name} is not valid JSON: {reason}") from error
        log = table.get("log") if isinstance(table, dict) else None
        if not isinstance(log, dict):
            raise RecordFault(f'{name} has no object "log": it is not a HAR')
        entries = log.get("entries")
        if not isinstance(entries, list):
            raise RecordFault(f"{name}: log.entries is not an array")
        self.entries: list[Any] = entries
        self.creator = program(log.get("browser")) or program(log.get("creator"))

    def entry(self, number: int) -> HarEntry:
        """One of them.

        Raises:
            RecordFault: there is none, or it is not one.
        """
        if not 1 <= number <= len(self.entries):
            raise RecordFault(
                f"{self.name} has no entry {number}: it has {len(self.entries)}"
            )
        try:
            return convert(without_nulls(self.entries[number - 1]), HarEntry)
        except ValidationError as error:
            raise self.fault(number, in_order(error)) from error

    def fault(self, number: int, reason: str) -> RecordFault:
        """What is wrong with an entry."""
        return RecordFault(f"{self.name}, entry {number}: {reason}")

    def record(self, number: int) -> ExchangeRecord | None:
        """An entry as a record; None if it is not of HTTP: of data:, blob: …

        Raises:
            RecordFault: it is not valid; the message names the entry and the key.
        """
        entry = self.entry(number)
        try:
            if entry.unbuffered is not None:
                return own_record(entry.unbuffered)
            address = address_of(entry.request.url)
            if address is None:
                return None
            return foreign_record(entry, address, self.creator)
        except RecordFault as fault:
            raise self.fault(number, str(fault)) from fault.__cause__


def decoded(data: bytes) -> Any:
    """The JSON of a HAR. What is not Unicode in a string of it is U+FFFD.

    JSON.stringify writes half of a surrogate pair as it is, and so do programs that
    cut a text; one such string must not make the other entries unreadable.
    """
    try:
        return json.decode(data)
    except (DecodeError, UnicodeDecodeError):
        text = data.decode("utf-8", "replace").encode()
        whole = ESCAPES.sub(whole_escape, text)
        if whole == data:
            raise
    return json.decode(whole)


def whole_escape(found: re.Match[bytes]) -> bytes:
    """An escape; in place of half of a pair, that of U+FFFD."""
    return rb"\ufffd" if len(found[0]) == HALF else found[0]


def without_nulls(value: Any) -> Any:
    """The same, as if what is null were not there."""
    if isinstance(value, dict):
        found = value.items()
        return {key: without_nulls(each) for key, each in found if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value if each is not None]
    return value


def program(table: object) -> str:
    """Who wrote a HAR."""
    if not isinstance(table, dict):
        return ""
    words = [table.get("name"), table.get("version")]
    return " ".join(word for word in words if isinstance(word, str) and word)


def own_record(table: dict[str, Any]) -> ExchangeRecord:
    """The record that `har_writer` has put into an entry."""
    lines = table.get("record")
    if not isinstance(lines, list):
        raise RecordFault("_unbuffered.record: is not an array")
    return read_record((json.encode(line) + b"\n" for line in lines), "_unbuffered")


def foreign_record(
    entry: HarEntry, address: HarAddress, creator: str
) -> ExchangeRecord:
    """An entry that somebody else wrote."""
    request, unknown = entry.request, list[Unknown]()
    began = beginning(entry)
    body = request_body(request, unknown)
    response = ResponseItems(entry, began, unknown, address.websocket)
    end = response.build(body)
    fields = recorded_pairs(request.headers, "request.headers")
    if not any(name.lower() == "host" for name, _ in fields):
        fields.insert(0, ("Host", address.authority))
    return ExchangeRecord(
        datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        f"unbuffered {__version__}, {OF_HAR}" + (f" by {creator}" if creator else ""),
        "",
        f"{address.scheme}://{address.authority}",
        RecordedRequest(
            method_of(request.method),
            masked_target(address.target),
            version_of(request.http_version) or "1.1",
            address.scheme,
            fields,
        ),
        response.items,
        end,
        unknown=tuple(dict.fromkeys(unknown)),
    )


def request_body(request: HarRequest, unknown: list[Unknown]) -> bytes:
    """What was sent."""
    body = b"" if request.post_data is None else post_bytes(request.post_data)
    if not body and request.body_size is not None and request.body_size > 0:
        unknown.append("request body")
    return body


def beginning(entry: HarEntry) -> float:
    """When the request was sent, in seconds since 1970.

    An entry begins when its request was made. Before it was sent there may have been
    a queue, and a connection that had to be opened.

    Raises:
        RecordFault: it is not a time.
    """
    text, times = entry.started_date_time, entry.timings
    phases = (times.blocked, times.dns, times.connect)
    if entry.time is not None and entry.time > 0:
        # Firefox counts TLS beside `connect`, Chromium in it: but the whole is certain.
        after = (times.send, times.wait, times.receive)
        before = entry.time - sum(max(phase or 0.0, 0.0) for phase in after)
    else:
        before = sum(max(phase or 0.0, 0.0) for phase in phases)
    try:
        started = datetime.fromisoformat(text)
        if started.tzinfo is None:
            started = started.replace(tzinfo=UTC)
        began = started.timestamp() + max(before, 0.0) / 1000
        datetime.fromtimestamp(began, UTC)
    except (ValueError, OverflowError, OSError):
        raise RecordFault(
            f"startedDateTime: {text[:40]!r} is not a valid time"
        ) from None
    return began
