"""A server on a Unix socket that is there already."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from socket import socket
from typing import Any

# Since Python 3.13 a server removes the file of its socket when it closes. This one is
# somebody else's: of systemd, or of a supervisor whose other workers serve on it.
STAYS: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


async def serve_unix(
    accept: Callable[[], asyncio.BaseProtocol], sock: socket
) -> asyncio.Server:
    """Serve on a socket; its file stays when the server closes."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(accept, sock=sock, **STAYS)
