"""The slot that keeps a short request body, where something has to be read in it."""

from __future__ import annotations

import json
from typing import ClassVar

from proxy.transport.pipeline import COPY, Pipeline, Slot

MOST_BYTES = 64 * 1024  # of a longer body nothing is kept


class RequestCopy(Slot):
    """The request body that passes through, as long as it is short."""

    __slots__ = ("pieces", "size")
    rank: ClassVar[int] = COPY

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.size = 0

    def send_piece(self, piece: bytes) -> None:
        self.next.send_piece(piece)
        self.size += len(piece)
        if self.size <= MOST_BYTES:
            self.pieces.append(piece)
        else:
            self.pieces.clear()

    @property
    def value(self) -> object:
        """The value of its JSON; None where it is none, or too long."""
        try:
            return json.loads(b"".join(self.pieces))
        except (ValueError, RecursionError):
            return None


def copied_request(pipeline: Pipeline | None) -> object:
    """The JSON of a request body, as far as it is kept and of use."""
    each = pipeline.first if pipeline is not None else None
    while isinstance(each, Slot):
        if isinstance(each, RequestCopy):
            return each.value
        each = each.next
    return None
