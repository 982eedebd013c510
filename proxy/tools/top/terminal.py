"""`unbuffered top`: the live list in a terminal, or once for a pipe."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from proxy.timeline import monotonic, wall_clock
from proxy.tools.running_proxy import RunningProxy
from proxy.tools.top.feed import FeedRefused, Known, events
from proxy.tools.top.screen import SORTS, ordered, screen, table, warned

ALTERNATE, NORMAL = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, REST = "\x1b[H", "\x1b[K"
DRAW_SECONDS = 0.25
SNAPSHOT_SECONDS = 3.0  # for all workers to tell what they have


def top(proxy: RunningProxy, output: TextIO, *, once: bool) -> int:
    """Show what runs; the exit status. Raises Refused."""
    color = "NO_COLOR" not in os.environ and output.isatty()
    is_terminal = output.isatty() and sys.stdin.isatty()
    if once or not is_terminal or sys.platform == "win32":
        return snapshot(proxy, output, color=color)
    return live(proxy, output, color=color)


def snapshot(proxy: RunningProxy, output: TextIO, *, color: bool) -> int:
    """Print what there is now."""
    known = Known()
    until = monotonic() + SNAPSHOT_SECONDS
    with contextlib.closing(events(proxy, SNAPSHOT_SECONDS)) as feed:
        told = False
        for name, data in feed:
            known.take(name, data)
            told = told or name == "warnings"
            if told and (known.complete or monotonic() >= until):
                break
    if not known.state:
        raise FeedRefused(f"the feed of {proxy.url} ended before it started")
    width = shutil.get_terminal_size((160, 24)).columns if output.isatty() else 1000
    rows = ordered(list(known.rows.values()), "n", known.now)
    for warning in known.warnings:
        print(warned(warning), file=output)
    print("\n".join(table(rows, known.now, width, color=color)), file=output)
    return 0


def live(proxy: RunningProxy, output: TextIO, *, color: bool) -> int:
    """Draw until q is pressed, or the proxy is gone."""
    known = Known()
    feed = events(proxy)
    for name, data in feed:  # or it is refused, before the screen is changed
        known.take(name, data)
        break
    reader = KeyReader(known, feed)
    key = "n"
    with full_screen(output):
        reader.start()
        while reader.is_alive():
            area = shutil.get_terminal_size()
            with reader.lock:
                rows, warnings = list(known.rows.values()), list(known.warnings)
            lines = screen(
                rows, warnings, known.facts, key, wall_clock(), area, color=color
            )
            output.write(HOME + f"{REST}\r\n".join(lines) + REST)
            output.flush()
            pressed = wait_for_key()
            if pressed in ("q", "\x03", "\x04"):
                return 0
            if pressed in SORTS:
                key = pressed
    raise FeedRefused(f"the proxy at {proxy.url} ended the feed")


class KeyReader(threading.Thread):
    """Reads the feed while the screen is drawn; ends with the program."""

    def __init__(self, known: Known, feed: Iterator[tuple[str, object]]) -> None:
        super().__init__(daemon=True)
        self.known = known
        self.feed = feed
        self.lock = threading.Lock()

    def run(self) -> None:
        for name, data in self.feed:
            with self.lock:
                self.known.take(name, data)


def wait_for_key() -> str:
    """The key that is pressed within a moment; "" for none."""
    ready, _, _ = select.select([sys.stdin], [], [], DRAW_SECONDS)
    return os.read(sys.stdin.fileno(), 1).decode("latin-1") if ready else ""


@contextlib.contextmanager
def full_screen(output: TextIO) -> Iterator[None]:
    """The other screen of the terminal, keys as they are pressed; then all back."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        output.write(ALTERNATE)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        output.write(NORMAL)
        output.flush()
