"""What a command imports: no more than it needs, since somebody waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROUTE = ("--route", "/a=http://127.0.0.1:1")
SERVING = ("aiohttp", "uvloop", "proxy.server.server", "proxy.exchange.forward")
# Runs each command, and tells what has been imported by then.
SCRIPT = """
import contextlib, io, sys
from proxy.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(*sys.modules)
"""
CASES = {
    "check": (("check", *ROUTE), (*SERVING, "proxy.tools")),
    "schema": (("schema",), (*SERVING, "proxy.tools")),
    "explain": (("explain", "GET", "/a", *ROUTE), ("aiohttp", "proxy.server.server")),
    "init": (("init", ".", "-o", "-"), (*SERVING, "proxy.tools.doctor")),
    "doctor": (("doctor", "--help"), (*SERVING, "proxy.config")),
    "replay": (("replay", "--help"), (*SERVING, "proxy.process.process")),
    "serve": (("serve", "--help"), (*SERVING, "msgspec")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_command_imports_nothing_that_it_can_do_without(
    name: str, tmp_path: Path
) -> None:
    command, unneeded = CASES[name]
    assert imported(SCRIPT, *command, folder=tmp_path) & {*unneeded} == set()


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("unix:/run/app.sock", False),
        ("http://example.com", True),
    ],
)
def test_only_a_name_needs_a_library_to_look_it_up(
    target: str, needed: bool, tmp_path: Path
) -> None:
    """Imported at the start, so that no stream waits for it later."""
    script = """
import sys
from proxy.config.load import from_routes
from proxy.process import process
from proxy.transport.connector import prepare_for
prepare_for(from_routes({"/a": sys.argv[1]}, {}).routes.values())
print(*sys.modules)
"""
    assert ("aiohttp" in imported(script, target, folder=tmp_path)) is needed


def imported(script: str, *arguments: str, folder: Path) -> set[str]:
    """The names of all modules that a script has imported."""
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return set(ended.stdout.split())
