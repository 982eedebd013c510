"""The examples of docs/library.md run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import NAME, ONLY_NAMED, QUIET
from unbuffered.testing import ScriptedOrigin

ROOT = Path(__file__).parents[1]
ASYNCIO = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
PLUGINS = (*QUIET, "-p", NAME, "-p", "asyncio", "-o", ASYNCIO[0], "-o", ASYNCIO[1])
PAGE = ROOT / "docs" / "library.md"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SCRIPTS = FENCE.findall(PAGE.read_text("utf-8"))


@pytest.fixture
def service(stream_origin: ScriptedOrigin) -> str:
    """What the examples call http://localhost:8002."""
    stream_origin.answer("/events", [f"data: {number}\n\n" for number in range(3)])
    return stream_origin.url


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_an_example_of_the_page_runs(number: int, service: str, tmp_path: Path) -> None:
    script = SCRIPTS[number].replace("http://localhost:8002", service)
    path = tmp_path / "test_example.py"
    path.write_text(script, "utf-8")
    is_test = "def test_" in script
    program = ["-m", "pytest", *PLUGINS, path.name] if is_test else [path.name]
    done = subprocess.run(
        [sys.executable, "-W", "error", *program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **ONLY_NAMED, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if is_test:
        assert " 1 passed" in done.stdout
    if "error.faults" in script:
        assert len(done.stdout.splitlines()) == 3
