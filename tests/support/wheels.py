"""A wheel with the core compiled for each Python of this machine: `make wheels`.

Each is installed into an environment of its own, away from the sources, and the unit
and wire tests run on what is installed there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.matrix import ROOT, SUITES, VERSIONS, found, say

FOLDER = ROOT / "build" / "wheels"
COMPILED = "proxy.exchange.forward"  # one of them
# What the tests read beside what is installed.
BESIDE = ("tests", "pyproject.toml", "config.toml", "docs", "README.md", "bench")
OPTIONS = ("-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider")


def is_compiled(python: str, folder: Path) -> bool:
    """Does an interpreter have the compiled core, seen from a folder?"""
    code = f"import {COMPILED} as module; print(module.__file__)"
    ended = subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return not ended.stdout.strip().endswith(".py")


def build(interpreter: str, folder: Path) -> Path:
    """Build the wheel of an interpreter into a folder."""
    command = [
        interpreter,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(folder),
        str(ROOT),
    ]
    environment = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"}
    subprocess.run(command, check=True, env=environment)
    [wheel] = folder.glob("*.whl")
    return wheel


def install(interpreter: str, wheel: Path, folder: Path) -> str:
    """The interpreter of an environment with a wheel and what its tests need."""
    subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
    python = str(folder / "bin" / "python")
    for arguments in (["-U", "pip"], [wheel, "--group", f"{ROOT}/pyproject.toml:test"]):
        subprocess.run([python, "-m", "pip", "install", "-q", *arguments], check=True)
    return python


def tested(version: str, interpreter: str) -> bool:
    """Build, install and test a wheel; whether all tests have passed."""
    folder = FOLDER / version
    shutil.rmtree(folder, ignore_errors=True)
    wheel = build(interpreter, folder)
    say(f"Python {version}: {wheel.name}, {wheel.stat().st_size:,} bytes")
    python = install(interpreter, wheel, folder / "environment")
    away = folder / "tests-alone"
    away.mkdir()
    for name in BESIDE:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("node_modules", "__pycache__")
            shutil.copytree(source, away / name, ignore=ignored)
        else:
            shutil.copy2(source, away / name)
    if not is_compiled(python, away):
        say(f"Python {version}: nothing is compiled")
        return False
    command = [python, "-m", "pytest", *OPTIONS, *SUITES]
    return subprocess.run(command, cwd=away).returncode == 0


def main() -> int:
    """The exit status is 1 if a version fails, or none is there."""
    failed, ran = [], 0
    for version in VERSIONS:
        interpreter = found(version)
        if interpreter is None:
            say(f"Python {version}: not on this machine, skipped")
            continue
        ran += 1
        if not tested(version, interpreter):
            failed.append(version)
    say(f"wheels tried: {ran}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
