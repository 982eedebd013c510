"""Is a peer still there, while nothing is read from it?

A connection whose reading is paused (the other side is slow) shows neither
FIN nor reset to the event loop. The kernel knows all the same.
"""

from __future__ import annotations

import asyncio
import socket

# linux/tcp_states.h. CLOSE_WAIT: the peer has sent FIN.
CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING = 7, 8, 9, 11
GONE = frozenset({CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING})


def has_left(transport: asyncio.Transport) -> bool:
    """True if the kernel has seen the peer's FIN or reset.

    False where it cannot be asked (not Linux, no TCP): then the peer's leaving
    is noticed when reading goes on.
    """
    option = getattr(socket, "TCP_INFO", None)
    sock: socket.socket | None = transport.get_extra_info("socket")
    if option is None or sock is None:
        return False
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, option, 1)
    except OSError:  # no TCP
        return False
    return isinstance(state, bytes) and state[0] in GONE
