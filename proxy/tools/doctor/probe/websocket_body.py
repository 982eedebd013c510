"""A WebSocket as the doctor reads it: each message as a line. Without its socket.

What a message says is text or made so; where its frames begin is not kept, since hops
may cut them as they like (RFC 6455 §5.4).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from proxy.quantities import counted
from proxy.tools.doctor.probe.websocket_reader import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocketReader,
    frame,
)

NORMAL = (1000, 1001, 1005)  # closed, going away, and no code at all
SCHEMES = {"ws": "http", "wss": "https"}


class WebSocketBody:
    """Takes what comes after the head. `send` answers pings.

    In the form of a response body, which it stands for.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.reader = WebSocketReader()
        self.complete = False
        self.error: str | None = None
        self.pings = 0

    def feed(self, data: bytes) -> bytes:
        """The messages that are complete, each as a line."""
        lines = []
        for opcode, payload in self.reader.feed(data):
            if opcode == PING:
                self.pings += 1
                self.send(frame(PONG, payload, masked=True))
            elif opcode == CLOSE:
                self.closed(payload)
                break
            elif opcode < CLOSE:
                lines.append(b" ".join(payload.split(b"\n")) or b"(empty)")
        if self.reader.broken:
            self.error = "what came are no frames of a WebSocket"
        return b"".join(line + b"\n" for line in lines)

    def closed(self, payload: bytes) -> None:
        """A Close has come."""
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        if code in NORMAL:
            self.complete = True
            return
        why = payload[2:].decode("utf-8", "replace")
        self.error = f"it was closed with {code}" + (f" ({why})" if why else "")

    def end(self) -> str | None:
        """The connection is gone: what is missing."""
        if self.complete:
            return None
        came = f"{counted(self.pings, 'ping')} came" if self.pings else "no ping came"
        return f"no Close frame ({came} until then)"


def message(text: bytes) -> bytes:
    """What a client sends."""
    return frame(TEXT, text, masked=True)


def handshake_fields(scheme: str, authority: str) -> list[tuple[str, str]]:
    """What a browser sends for a page of the same host (RFC 6455 §4.1)."""
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Origin", f"{SCHEMES[scheme]}://{authority}"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ]
