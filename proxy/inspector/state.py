"""What the inspector says of the proxy as a whole."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version

from proxy import __version__
from proxy.config.model import Config


def state(config: Config, started: float, workers: int) -> dict[str, object]:
    """What is the same for all exchanges; `started` is wall-clock time."""
    return {
        "version": __version__,
        "started": round(started, 3),
        "workers": workers,
        "bodies": config.inspector.bodies,
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
    try:
        return f"{name} {version(name)}" if name != "asyncio" else name
    except PackageNotFoundError:
        return name
