"""What an exchange asks of a response that is a stream, whoever makes it."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ProxyError
from proxy.timeline import Ending


class StreamEnds(Protocol):
    """How a response that is a stream may end."""

    @property
    def comes_back(self) -> bool:
        """Does the client reconnect when it ends?"""

    def judge(self, ending: Ending) -> bool:
        """Note how it has ended by its own events; True: truncated."""

    def last_event(self, error: ProxyError) -> tuple[bytes, bool]:
        """What tells of a failure; whether a clean end may follow."""

    def drain(self) -> None:
        """It has until the shutdown."""

    def end_early(self) -> None:
        """End at the next boundary, if the client comes back."""

    def shut_down(self) -> bool:
        """The time is over. True if the client is left with half a response."""

    def over(self) -> None:
        """The exchange has ended: nothing of it acts later."""
