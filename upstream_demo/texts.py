"""The six texts of the event service, as events on the wire."""

from __future__ import annotations

from aiohttp import web

from upstream_demo.parameters import whole_number

TEXTS = (
    "你好",
    "吃饭了吗",
    "What are you doing?",
    "My name is yy",
    "8888",
    "hello",
)
# No blank after the colon: these are the tutorial's own bytes.
LAST_EVENT = b"data:end\n\n"


def event_bytes(number: int, *, with_id: bool = False) -> bytes:
    """Event `number`, counted from 1; the texts come round again and again."""
    text = TEXTS[(number - 1) % len(TEXTS)]
    head = f"id: {number}\n" if with_id else ""
    return f"{head}data: {text}\n\n".encode()


def read_interval(request: web.Request) -> float:
    """The parameter `interval_ms`, in seconds."""
    milliseconds = whole_number(
        request, "interval_ms", default=1000, least=0, most=60_000
    )
    return milliseconds / 1000
