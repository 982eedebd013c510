"""The slot that keeps a short request body, where something has to be read in it."""

from __future__ import annotations

import json
import re
from typing import ClassVar

from proxy.transport.pipeline import COPY, Pipeline, Slot

MOST_BYTES = 64 * 1024  # of a longer body only its last bytes are kept
MOST_KEY_BYTES = 1024 * 1024  # in which the key of a stream is looked for
# A member of an object: a quote inside of a string has a backslash before it.
STREAM_TRUE = re.compile(rb'[{,]\s*"stream"\s*:\s*true\b')
LAST_BYTES = 64  # in which such a member may have begun


class RequestCopy(Slot):
    """The request body that passes through, as long as it is short."""

    __slots__ = ("found", "pieces", "size")
    rank: ClassVar[int] = COPY

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.size = 0
        self.found = False  # the member, in a body that is too long

    def send_piece(self, piece: bytes) -> None:
        self.next.send_piece(piece)
        self.keep(piece)

    def keep(self, piece: bytes) -> None:
        """Note a piece."""
        self.size += len(piece)
        self.pieces.append(piece)
        if self.size > MOST_BYTES:
            data = b"".join(self.pieces)
            self.found = self.found or STREAM_TRUE.search(data) is not None
            self.pieces[:] = [data[-LAST_BYTES:]]

    @property
    def value(self) -> object:
        """The value of its JSON; None where it is none, or too long."""
        if self.size > MOST_BYTES:
            return None
        try:
            return json.loads(b"".join(self.pieces))
        except (ValueError, RecursionError):
            return None

    @property
    def asks_for_stream(self) -> bool:
        """Has the JSON object the member `"stream": true`?

        Of a long body it is enough that any object in it has.
        """
        value = self.value
        return self.found or (isinstance(value, dict) and value.get("stream") is True)


class KeyCopy(Slot):
    """The beginning of the request body that passes through, in which a key is."""

    __slots__ = ("body",)
    rank: ClassVar[int] = COPY

    def __init__(self) -> None:
        super().__init__()
        self.body = b""

    def send_piece(self, piece: bytes) -> None:
        self.next.send_piece(piece)
        left = MOST_KEY_BYTES - len(self.body)
        if left > 0:
            self.body += piece[:left]


def key_copy(pipeline: Pipeline | None) -> KeyCopy | None:
    """The slot of a direction that keeps the key's part, if it has one."""
    each = pipeline.first if pipeline is not None else None
    while isinstance(each, Slot):
        if isinstance(each, KeyCopy):
            return each
        each = each.next
    return None


def request_copy(pipeline: Pipeline | None) -> RequestCopy | None:
    """The slot of a direction, if it has one."""
    each = pipeline.first if pipeline is not None else None
    while isinstance(each, Slot):
        if isinstance(each, RequestCopy):
            return each
        each = each.next
    return None


def drop_copy(pipeline: Pipeline | None) -> None:
    """Keep the body no longer: a stream may run for hours."""
    copy = request_copy(pipeline)
    if pipeline is not None and copy is not None:
        pipeline.remove(copy)
