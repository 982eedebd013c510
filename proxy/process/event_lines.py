"""The lines of the log of a process: text for people, JSON for machines.

Whatever a peer has written into a message, it stays on one line.
"""

from __future__ import annotations

import json
import logging

from proxy.line_writer import one_line
from proxy.timeline import local_time, wall_clock


class TextLines(logging.Formatter):
    """A line for a person; its time is written as in the access log."""

    def __init__(self, worker: int | None = None) -> None:
        who = "" if worker is None else f"worker {worker}: "
        super().__init__(f"%(asctime)s %(levelname)s {who}%(message)s")
        self.worker = worker

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return local_time(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def spoken(self, text: str, level: str) -> str:
        """What is said to the person who started it."""
        return f"unbuffered: {text}" if level == "ERROR" else text


class JsonLines(TextLines):
    """One object on one line, in ASCII: it is JSON in every encoding.

    What a call of the log gives as `extra={"fields": {…}}` is in it, too.
    """

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": local_time(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if record.name != "unbuffered":
            told["logger"] = record.name
        if self.worker is not None:
            told["worker"] = self.worker
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)

    def spoken(self, text: str, level: str) -> str:
        first, *more = text.split("\n")
        told: dict[str, object] = {
            "time": local_time(wall_clock()),
            "level": level,
            "message": first,
        }
        if self.worker is not None:
            told["worker"] = self.worker
        if more:
            told["lines"] = more
        return json.dumps(told)
