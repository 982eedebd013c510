"""The workflows: they are valid, and no job may do more than it has to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def tool(name: str) -> str:
    """A program of the environment of these tests."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}") or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (pip install --group dev)")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_there_is_a_release() -> None:
    assert [path.name for path in WORKFLOWS] == ["release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid(path: Path) -> None:
    schema = "vendor.github-workflows"
    ended = run(tool("check-jsonschema"), "--builtin-schema", schema, str(path))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_has_rights_that_it_does_not_need(path: Path) -> None:
    """Unpinned actions, credentials left behind, text of others in a script."""
    ended = run(tool("zizmor"), "--offline", "--no-progress", str(path))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_wheels_are_built_for_the_pythons_of_the_classifiers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    built = project["tool"]["cibuildwheel"]["build"]
    prefix = "Programming Language :: Python :: 3."
    named = [
        f"cp3{each.removeprefix(prefix)}-*"
        for each in project["project"]["classifiers"]
        if each.startswith(prefix)
    ]
    assert built == named
