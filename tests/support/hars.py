"""HARs as other programs write them."""

from __future__ import annotations

import json
from typing import Any


def in_milliseconds(data: bytes) -> bytes:
    """One with the times of messages as Playwright has them."""
    table: dict[str, Any] = json.loads(data)
    for entry in table["log"]["entries"]:
        for name in ("_webSocketMessages", "_eventSourceMessages"):
            for message in entry.get(name) or []:
                message["time"] *= 1000
    return json.dumps(table).encode()
