"""The slot that knows where events, or lines, end on the streams where that counts.

On routes that tell of a failure by an event, and on all event streams while the
proxy drains. Other streams do not pay for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from proxy.stream.event_stream import Boundary, LineBoundary
from proxy.transport.pipeline import BOUNDARY, Slot


class BoundarySlot(Slot):
    """Where the stream stands that passes through."""

    __slots__ = ("at_boundary", "boundary")
    rank: ClassVar[int] = BOUNDARY
    witness: ClassVar[bool] = True

    def __init__(self, *, at_beginning: bool, lines: bool = False) -> None:
        super().__init__()
        self.boundary: Boundary | LineBoundary = (
            LineBoundary(at_beginning=at_beginning)
            if lines
            else Boundary(at_beginning=at_beginning)
        )
        self.at_boundary: Callable[[], None] | None = None

    @property
    def reached(self) -> bool:
        """Is the stream between two events?"""
        return self.boundary.reached

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back, in a turn of its own, once the stream is between two events."""
        if self.boundary.reached:
            asyncio.get_running_loop().call_soon(callback)
        else:
            self.at_boundary = callback

    def send_piece(self, piece: bytes) -> None:
        self.boundary.observe(piece)
        self.next.send_piece(piece)
        if self.at_boundary is not None:
            self.look_again()

    def passed(self, piece: bytes) -> None:
        self.boundary.observe(piece)
        if self.at_boundary is not None:
            self.look_again()

    def look_again(self) -> None:
        """Is it the boundary that is waited for?"""
        callback = self.at_boundary
        if callback is not None:
            self.at_boundary = None
            self.call_at_boundary(callback)
