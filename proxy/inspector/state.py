"""What the inspector says of the proxy as a whole."""

from __future__ import annotations

import asyncio
import sys

from proxy import __version__
from proxy.config.model import Config


def state(config: Config, started: float, workers: int) -> dict[str, object]:
    """What is the same for all exchanges; `started` is wall-clock time."""
    return {
        "version": __version__,
        "started": round(started, 3),
        "workers": workers,
        "bodies": config.inspector.bodies,
        "record": config.recording,
        "record_bytes": config.inspector.record_bytes,
        "loop": loop_name(),
        "routes": [
            {
                "prefix": prefix,
                "targets": [target.text for target in route.targets],
                "ws": route.ws,
            }
            for prefix, route in config.routes.items()
        ],
    }


def loop_name() -> str:
    """The event loop and its version."""
    name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    number = getattr(sys.modules.get(name), "__version__", "")
    return f"{name} {number}".strip()
