"""Fixtures: run a command in a folder; what it wrote and told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.cli.main import main

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="node is not installed"
)


@dataclass(frozen=True)
class Outcome:
    """Exit status, standard output and standard error."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run `unbuffered …` in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Outcome:
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(str(ended.code))
        return Outcome(status, *capsys.readouterr())

    return run
