"""Colour on a terminal, and nowhere else.

Only where a person looks: the stream is a terminal, and NO_COLOR is unset or
empty (no-color.org). What colour says, the words beside it say too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO, TypeAlias

Paint: TypeAlias = Callable[[str, str], str]

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def wanted(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """May colour be written to this stream?"""
    return (
        not environ.get("NO_COLOR")
        and environ.get("TERM") != "dumb"
        and stream.isatty()
    )


def paint(text: str, kind: str) -> str:
    """The text in a colour."""
    return f"\x1b[{CODES[kind]}m{text}\x1b[0m"


def plain(text: str, kind: str) -> str:
    """The text as it is."""
    return text


def painter(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """What puts text for this stream into colour, or leaves it alone."""
    return paint if wanted(stream, environ) else plain
