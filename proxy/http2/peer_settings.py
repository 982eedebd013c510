"""SETTINGS: what the peer asks of us, checked, and what we ask of it (RFC 9113 §6.5).

The order of values within a frame matters only for the last of each name: no frame
comes between them.
"""

from __future__ import annotations

from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import (
    DEFAULT_TABLE,
    DEFAULT_WINDOW,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    LARGEST_MAX_FRAME,
    LARGEST_NUMBER,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    PROTOCOL_ERROR,
    SETTING,
    SMALLEST_MAX_FRAME,
    settings_frame,
)
from proxy.http2.limits import Http2Limits

STREAM_WINDOW = (
    64 * 1024
)  # bytes that we take of a new stream before they are passed on
# A frame of 16 KiB has room for 2,730 settings. There are eight, and clients send a few
# unknown ones so that servers stay used to them.
MAX_SETTINGS = 32

FLAGS = {
    ENABLE_PUSH: "SETTINGS_ENABLE_PUSH",
    ENABLE_CONNECT_PROTOCOL: "SETTINGS_ENABLE_CONNECT_PROTOCOL",
    NO_RFC7540_PRIORITIES: "SETTINGS_NO_RFC7540_PRIORITIES",
}


class PeerSettings:
    """The settings of the peer that concern us."""

    __slots__ = (
        "initial_window",
        "max_frame",
        "received",
        "rfc7540_priorities",
        "table_reduced",
        "table_size",
    )

    def __init__(self) -> None:
        self.initial_window = DEFAULT_WINDOW
        self.max_frame = SMALLEST_MAX_FRAME
        self.table_size = DEFAULT_TABLE
        # The next header block must begin with a size update (RFC 9113 §4.3.1).
        self.table_reduced = True
        self.rfc7540_priorities = -1  # not said
        self.received = False

    def apply(self, payload: bytes) -> None:
        """Take the settings of one frame over.

        Raises:
            ConnectionFault.
        """
        if len(payload) % SETTING.size:
            raise ConnectionFault(
                FRAME_SIZE_ERROR,
                f"SETTINGS of {len(payload)} bytes: not a multiple of 6",
            )
        if len(payload) > MAX_SETTINGS * SETTING.size:
            raise ConnectionFault(
                ENHANCE_YOUR_CALM,
                f"{len(payload) // SETTING.size} settings in one frame: "
                f"more than {MAX_SETTINGS}",
            )
        for name, value in SETTING.iter_unpack(payload):
            self.change(name, value)
        self.received = True

    def change(self, name: int, value: int) -> None:
        """Take one setting over; an unknown one is ignored.

        Raises:
            ConnectionFault.
        """
        if name == INITIAL_WINDOW_SIZE:
            if value > LARGEST_NUMBER:
                raise ConnectionFault(
                    FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE of {value}"
                )
            self.initial_window = value
        elif name == MAX_FRAME_SIZE:
            if not SMALLEST_MAX_FRAME <= value <= LARGEST_MAX_FRAME:
                raise ConnectionFault(
                    PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE of {value}"
                )
            self.max_frame = value
        elif name == HEADER_TABLE_SIZE:
            self.table_reduced |= value < self.table_size
            self.table_size = value
        elif name in FLAGS:
            if value > 1:
                raise ConnectionFault(
                    PROTOCOL_ERROR, f"{FLAGS[name]} of {value}: neither 0 nor 1"
                )
            if name == NO_RFC7540_PRIORITIES:
                self.choose_priorities(value)

    def choose_priorities(self, value: int) -> None:
        """The choice of the first SETTINGS holds (RFC 9218 §2.1)."""
        before = self.rfc7540_priorities
        if self.received and max(before, 0) != value:
            raise ConnectionFault(
                PROTOCOL_ERROR, "SETTINGS_NO_RFC7540_PRIORITIES has changed"
            )
        self.rfc7540_priorities = value


def own_settings(limits: Http2Limits) -> bytes:
    """Our SETTINGS. What is not among them stays as RFC 9113 has it."""
    settings = [
        (INITIAL_WINDOW_SIZE, STREAM_WINDOW),
        (MAX_HEADER_LIST_SIZE, limits.max_head_bytes),
        (ENABLE_CONNECT_PROTOCOL, 1),  # RFC 8441
        (NO_RFC7540_PRIORITIES, 1),  # RFC 9218 is what we go by
    ]
    if limits.max_streams > 0:
        settings.insert(0, (MAX_CONCURRENT_STREAMS, limits.max_streams))
    return settings_frame(settings)
