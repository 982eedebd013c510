"""What a frame must be, whatever its stream is (RFC 9113 §6, RFC 9218 §7.1)."""

from __future__ import annotations

from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import (
    CONTINUATION,
    FRAME_SIZE_ERROR,
    GOAWAY,
    PING,
    PRIORITY_UPDATE,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    kind_name,
)

ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY, PRIORITY_UPDATE})
EXACT_SIZES = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
LEAST_SIZES = {GOAWAY: 8, PRIORITY_UPDATE: 4}


def check_frame(kind: int, number: int, size: int) -> None:
    """What can be said of a frame without knowing its stream.

    Raises:
        ConnectionFault.
    """
    if kind in ON_CONNECTION:
        if number:
            raise ConnectionFault(
                PROTOCOL_ERROR, f"{kind_name(kind)} on stream {number}"
            )
    elif number == 0 and kind <= CONTINUATION and kind != WINDOW_UPDATE:
        raise ConnectionFault(PROTOCOL_ERROR, f"{kind_name(kind)} on stream 0")
    if size != EXACT_SIZES.get(kind, size) or size < LEAST_SIZES.get(kind, 0):
        raise ConnectionFault(FRAME_SIZE_ERROR, f"{kind_name(kind)} of {size} bytes")
