"""Names that take as long as a test likes.

    python -m tests.support.names asyncio serve --config config.toml

runs the command on one of the event loops, and never resolves `stuck.example`.
"""

from __future__ import annotations

import socket
import sys
import threading
from types import TracebackType
from typing import Any
from unittest import mock

STUCK = "stuck.example"
RESOLVE = socket.getaddrinfo

OwnResponse = list[tuple[Any, ...]]


class NameServer:
    """Answers look-ups of `names` with 127.0.0.1 when it is told to, not before."""

    def __init__(self, *names: str) -> None:
        self.free = {name: threading.Event() for name in names}
        self.asked: list[str] = []  # every look-up, in order
        self.fault: Exception | None = None  # what they end in instead
        self.patch = mock.patch("socket.getaddrinfo", self.resolve)

    def __enter__(self) -> NameServer:
        self.patch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.patch.stop()
        for event in self.free.values():
            event.set()

    def resolve(self, host: Any, port: Any, *rest: Any, **options: Any) -> OwnResponse:
        """In place of `socket.getaddrinfo`."""
        if host not in self.free:
            return list(RESOLVE(host, port, *rest, **options))
        self.asked.append(host)
        self.free[host].wait()
        if self.fault is not None:
            raise self.fault
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    def answer(self, name: str) -> None:
        """Let all look-ups of a name end."""
        self.free[name].set()


class TellingNameServer(NameServer):
    """Says on standard error what it is asked."""

    def resolve(self, host: Any, port: Any, *rest: Any, **options: Any) -> OwnResponse:
        sys.stderr.write(f"asked for {host}\n")
        return super().resolve(host, port, *rest, **options)


if __name__ == "__main__":
    from proxy.cli import main

    kind, *arguments = sys.argv[1:]
    if kind == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if not installed
    TellingNameServer(STUCK).patch.start()  # for good: its look-ups never end
    sys.exit(main.main(arguments))
