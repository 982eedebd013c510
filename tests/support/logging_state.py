"""The logging of the process that runs the tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from proxy.line_writer import WRITERS

# A command that is called in this process sets these up for its own process.
NAMES = (None, "unbuffered", "upstream_demo", "aiohttp", "asyncio")


@contextmanager
def unchanged_logging() -> Iterator[None]:
    """Afterwards the handlers, levels and writers of lines are those of before."""
    writers = dict(WRITERS)
    before = [
        (logger, logger.handlers[:], logger.level)
        for logger in map(logging.getLogger, NAMES)
    ]
    try:
        yield
    finally:
        for key in WRITERS.keys() - writers.keys():
            WRITERS.pop(key).finish(1.0)
        WRITERS.update(writers)
        for logger, handlers, level in before:
            for handler in logger.handlers[:]:
                if handler not in handlers:
                    logger.removeHandler(handler)
            for handler in handlers:
                if handler not in logger.handlers:
                    logger.addHandler(handler)
            if logger.level != level:
                logger.setLevel(level)
