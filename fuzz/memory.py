"""One loop for all runs, and an ear for what the proxy calls internal errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

LOOP = asyncio.new_event_loop()


class Alarm(logging.Handler):
    """An exception that the proxy survived is a finding all the same."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            raise record.exc_info[1]


ALARM = Alarm(logging.ERROR)


def in_loop(run: Callable[[], None]) -> None:
    """Call it as the event loop would."""

    async def turn() -> None:
        run()

    log = logging.getLogger()
    log.addHandler(ALARM)  # here only: tests of other things hear of errors too
    try:
        LOOP.run_until_complete(turn())
    finally:
        log.removeHandler(ALARM)
