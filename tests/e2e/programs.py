"""A program under test: its own process group, its output line by line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

START_SECONDS = 60  # a dev server on a busy machine; a guard, never a wait
STOP_SECONDS = 10


class Program:
    """Started at once; on leaving, it and all that it started are ended."""

    def __init__(
        self, command: Sequence[str | Path], folder: Path, variables: Mapping[str, str]
    ) -> None:
        self.lines: list[str] = []
        self._written = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._written:
                self.lines.append(line)
                self._written.notify_all()
        with self._written:
            self._ended = True
            self._written.notify_all()

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> str:
        """The first line with `pattern`, among those that came and those to come."""
        found: list[str] = []

        def has_come() -> bool:
            found[:] = [line for line in self.lines if re.search(pattern, line)]
            return bool(found) or self._ended

        with self._written:
            self._written.wait_for(has_come, seconds)
        assert found, f"no {pattern!r} in:\n{''.join(self.lines)}"
        return found[0]

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        # What a shell or a dev server has left behind is in its group.
        self._signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
