"""The targets, and where their first inputs are."""

from __future__ import annotations

from pathlib import Path

TARGETS = (
    "heads",
    "chunks",
    "decoders",
    "events",
    "requests",
    "responses",
    "lenient",
    "destinations",
    "credentials",
    "frames",
)
CORPUS = Path(__file__).parent / "corpus"
