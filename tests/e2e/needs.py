"""What the examples need, and the reason for a skip where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OWN_NODE = Path(__file__).parent / "node_modules"
NODE_VERSION = (22, 15)  # that of webpack-dev-server 6, the most exacting


@cache
def version_of(node: str) -> tuple[int, ...]:
    told = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return tuple(int(part) for part in told.strip().lstrip("v").split(".") if part)


def node() -> Path:
    """A Node that is new enough: the one of tests/e2e, or the system's."""
    installed = [str(path) for path in OWN_NODE.glob("node-*/bin/node")]
    for path in [*installed, shutil.which("node")]:
        if path and version_of(path) >= NODE_VERSION:
            return Path(path)
    wanted = ".".join(map(str, NODE_VERSION))
    pytest.skip(f"no Node {wanted} or newer: run `make examples`, or install one")


def modules(name: str) -> Path:
    """The example of that name, its npm packages installed."""
    folder = EXAMPLES / name
    if not (folder / "node_modules").is_dir():
        pytest.skip(f"examples/{name} has no node_modules: run `make examples`")
    return folder


def python() -> Path:
    """The interpreter that has the packages of the Python examples."""
    names = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    path = EXAMPLES.joinpath(".venv", *names)
    if not path.exists():
        pytest.skip("examples/.venv is missing: run `make examples`")
    return path


def copy(source: Path, target: Path) -> Path:
    """A copy to edit; its packages are linked, for they are large."""
    skipped = shutil.ignore_patterns("node_modules", ".next", "dist")
    shutil.copytree(source, target, ignore=skipped)
    shutil.copytree(
        source / "node_modules",
        target / "node_modules",
        symlinks=True,
        ignore=shutil.ignore_patterns(".vite", ".cache"),
        copy_function=link,
    )
    return target


def link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
