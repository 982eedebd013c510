"""The two kinds of fault that HTTP/2 knows (RFC 9113 §5.4).

The reason is for the log, and for the peer as the debug data of GOAWAY.
"""

from __future__ import annotations


class ConnectionFault(Exception):
    """Nothing after it can be understood or borne: the connection ends by GOAWAY."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):
    """One stream ends by RST_STREAM; the others go on.

    `status` is for the log: what the same fault is answered with on HTTP/1.1.
    """

    def __init__(self, code: int, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.status = status
