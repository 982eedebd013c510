"""A connection that is gone, and whose last bytes are not all handed on yet.

Its peer closed or reset it while bytes waited for their turn, or for a client that
reads slowly. They are handed on as if the connection were open: by turns, and no
faster than they are taken. Only then is its end told.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.transport.connection import Connection
from proxy.transport.socket_state import UnreadBytes, remains


class OutlastingSource(Connection):
    """A source that is read to its end after it was lost."""

    __slots__ = ("lost", "remains")

    def __init__(self) -> None:
        super().__init__()
        self.lost: Callable[[], None] | None = None  # told when all before it is
        self.remains: UnreadBytes | None = None  # what the kernel keeps of it

    def outlasts(self, *, broken: bool) -> bool:
        """Is there something to hand on before the end is told? To be asked as it ends.

        `broken`: by a fault. Otherwise everything was read before the end.
        """
        if broken:
            self.remains = remains(self.transport)
        return self.resting or self.left != b"" or self.remains is not None

    def pause_reading(self) -> None:
        if self.closed:
            self.paused = True
        else:
            super().pause_reading()

    def resume_reading(self) -> None:
        if self.closed and self.paused:
            self.paused = False
            self.rest()
        else:
            super().resume_reading()

    def go_on_lost(self) -> None:
        """Take one read of what the kernel keeps; once there is none, tell the end."""
        if self.remains is not None:
            if self.paused and self.receiver is not None:
                return  # until `resume_reading`
            data = self.remains.read()
            if data:
                self.data_received(data)
                self.rest()
                return
            self.forget_remains()
        lost, self.lost = self.lost, None
        if lost is not None:
            lost()

    def forget_remains(self) -> None:
        """Nobody wants them any more."""
        if self.remains is not None:
            self.remains.close()
            self.remains = None

    def abort(self) -> None:
        self.forget_remains()
        super().abort()
