"""The first inputs of each fuzz target, and what was once found, break nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fuzz.names import CORPUS, TARGETS

pytest.importorskip("h11", reason="the dependency group `fuzz` is not installed")


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_nothing(name: str) -> None:
    target = importlib.import_module(f"fuzz.{name}")
    inputs = sorted(Path(CORPUS, name).iterdir())
    assert inputs
    for each in inputs:
        try:
            target.check(each.read_bytes())
        except Exception as fault:
            fault.add_note(f"input: {each.name}")
            raise
