"""What is done beside a request, and nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from proxy.internal_errors import report
from proxy.kept.shared_store import StoreUnavailable

UNDER_WAY: set[asyncio.Task[None]] = set()  # the loop itself would forget them


def errand(work: Coroutine[Any, Any, None], place: str) -> None:
    """Do it in a task of its own. It may be in vain if the store is down."""
    task = asyncio.get_running_loop().create_task(contained(work, place))
    UNDER_WAY.add(task)
    task.add_done_callback(UNDER_WAY.discard)


async def contained(work: Coroutine[Any, Any, None], place: str) -> None:
    """Nothing that it raises gets any further."""
    try:
        await work
    except StoreUnavailable:
        pass
    except Exception as error:
        report(place, error)
