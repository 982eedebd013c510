"""What one HTTP/2 connection of a client may ask of us.

The numbers are keys of `[server]`; 0 is no limit.
"""

from __future__ import annotations

from typing import NamedTuple


class Http2Limits(NamedTuple):
    """The limits of a connection, as the configuration has them."""

    max_streams: int = 250  # at a time
    max_resets_per_second: int = 100
    max_control_frames_per_second: int = 200
    max_head_bytes: int = 64 * 1024
    max_fields: int = 200
    max_target_bytes: int = 16 * 1024
