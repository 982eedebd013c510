"""Frames that cost us and carry nothing: how many of them a client may send.

Each is harmless, and each has been a denial of service by its number: SETTINGS, PING
and empty frames (CVE-2019-9512, -9515, -9518), tiny windows (CVE-2019-9511, -9517),
streams opened and reset (CVE-2023-44487), streams that a client's own fault makes us
reset (CVE-2025-8671).
"""

from __future__ import annotations

from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import ENHANCE_YOUR_CALM
from proxy.http2.limits import Http2Limits
from proxy.timeline import Clock

SPAN = 10.0  # seconds over which a rate is averaged: a closed tab resets all at once
# A client may open a window for each frame that it got, once for its stream and once
# for the connection. Firefox opens both beforehand, too.
UPDATES_PER_FRAME = 2
UPDATES_BEFOREHAND = 8
MOST_UPDATES = 2000  # that may be saved up


class RateLimit:
    """Counts events of one kind within a span, and refuses too many."""

    __slots__ = ("count", "key", "limit", "since", "what")

    def __init__(self, what: str, key: str, per_second: int) -> None:
        self.what = what
        self.key = key
        self.limit = int(per_second * SPAN)
        self.count = 0
        self.since = 0.0

    def add(self, now: float) -> None:
        """One more of them.

        Raises:
            ConnectionFault.
        """
        if now - self.since >= SPAN:
            self.since = now
            self.count = 0
        self.count += 1
        if self.count > self.limit > 0:
            raise ConnectionFault(
                ENHANCE_YOUR_CALM,
                f"{self.count:,} {self.what} within {SPAN:.0f} s ({self.key})",
            )


class FloodGuard:
    """What one connection has been counted for."""

    __slots__ = ("clock", "controls", "reasons", "resets", "updates")

    def __init__(self, limits: Http2Limits, clock: Clock) -> None:
        self.clock = clock
        self.resets = RateLimit(
            "streams reset",
            "http2_max_resets_per_second",
            limits.max_resets_per_second,
        )
        self.controls = RateLimit(
            "control frames",
            "http2_max_control_frames_per_second",
            limits.max_control_frames_per_second,
        )
        self.reasons = 0  # up to the last WINDOW_UPDATE
        self.updates = UPDATES_BEFOREHAND  # that may come for these reasons

    def stream_reset(self) -> None:
        """The client has reset a stream, or made us do so.

        Raises:
            ConnectionFault.
        """
        self.resets.add(self.clock())

    def control_frame(self) -> None:
        """A frame that asks for work and brings nothing.

        Raises:
            ConnectionFault.
        """
        self.controls.add(self.clock())

    def window_update(self, reasons: int) -> None:
        """A WINDOW_UPDATE; `reasons`: frames sent and streams opened up to now.

        Raises:
            ConnectionFault.
        """
        more = (reasons - self.reasons) * UPDATES_PER_FRAME
        self.reasons = reasons
        self.updates = min(self.updates + more, MOST_UPDATES)
        if self.updates > 0:
            self.updates -= 1
        else:
            self.controls.add(self.clock())
