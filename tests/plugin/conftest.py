"""A project of a stranger, whose tests pytest runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = "unbuffered" in entry_points(group="pytest11").names
# Those that are installed here would take a second of each test.
ONLY_NAMED = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
QUIET = ("-p", "no:cacheprovider", "-W", "error")
NAME = "unbuffered" if INSTALLED else "unbuffered.pytest_plugin"


@dataclass(frozen=True)
class Result:
    """What pytest said."""

    text: str

    @property
    def outcomes(self) -> dict[str, int]:
        """As in `{"passed": 3}`."""
        return pytest.RunResult.parse_summary_nouns(self.text.splitlines())


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run tests of a stranger, with plugins: `run(text, "-p", "anyio")`."""

    def run(text: str, *options: str) -> Result:
        (tmp_path / "test_stranger.py").write_text(textwrap.dedent(text), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *QUIET, "-p", NAME, *options],
            cwd=tmp_path,
            env={**os.environ, **ONLY_NAMED, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        sys.stdout.write(done.stdout)  # what a failure needs
        return Result(done.stdout)

    return run
