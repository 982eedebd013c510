"""The tests of examples/testing pass, and fail where they should."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.browser.drivers.chromium import find_chromium
from tests.e2e.needs import EXAMPLES, ROOT, copy, modules, node, python
from tests.support.ports import ClosedPort

NAME = "testing"
LIMIT_SECONDS = 120  # a guard: a browser and a dev server start


@cache
def python_with_library() -> Path:
    """The interpreter of the examples; it has Unbuffered, too."""
    path = python()
    if subprocess.run(
        [path, "-c", "import pytest, unbuffered"], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("examples/.venv has no Unbuffered: run `make examples` again")
    return path


def run(
    command: Sequence[str | Path], folder: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    """A command to its end: its exit status, and what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        pytest.param(("", ""), "", id="as it is"),
        pytest.param(
            ("last_id = event_id", "last_id = str(int(event_id) + 1)"),
            "inside_event_3",
            id="it loses an event",
        ),
        pytest.param(
            ("except httpx.TransportError:", "except KeyError:"),
            "inside_event_3",
            id="it does not reconnect",
        ),
    ],
)
def test_the_tests_in_python(
    tmp_path: Path, change: tuple[str, str], broken: str
) -> None:
    interpreter = python_with_library()
    folder = tmp_path / NAME
    shutil.copytree(
        EXAMPLES / NAME, folder, ignore=shutil.ignore_patterns("node_modules")
    )
    feed = folder / "feed.py"
    feed.write_text(feed.read_text("utf-8").replace(*change), "utf-8")
    options = ["-k", broken] if broken else []
    status, said = run(
        [interpreter, "-m", "pytest", "-p", "no:cacheprovider", *options], folder, {}
    )
    assert status == (1 if broken else 0), said
    assert (" failed" if broken else " passed") in said


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        pytest.param(("", ""), True, id="as it is"),
        pytest.param(("source.onopen =", "source.close(); void"), False,
                     id="a page that does not listen"),
        pytest.param(("setState(source.readyState", "source.close(); setState(0"),
                     False, id="a page that does not reconnect"),
    ],
)  # fmt: skip
def test_the_tests_in_javascript(
    tmp_path: Path, change: tuple[str, str], passes: bool
) -> None:
    folder = copy(modules(NAME), tmp_path / NAME)
    page = folder / "src" / "main.jsx"
    page.write_text(page.read_text("utf-8").replace(*change), "utf-8")
    with ClosedPort() as dev:
        variables = {
            "PORT": str(dev.port),
            "CHROMIUM": find_chromium(),
            "UNBUFFERED": json.dumps([sys.executable, "-m", "unbuffered"]),
            "CHOKIDAR_USEPOLLING": "true",
        }
        command: list[str | Path] = [
            node(),
            "node_modules/@playwright/test/cli.js",
            "test",
        ]
        status, said = run(command, folder, variables)
    assert (status == 0) is passes, said
    assert ("1 passed" if passes else "1 failed") in said
