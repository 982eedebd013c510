"""Drivers: each a process that asks with one client library, a line for a call."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.drivers.chromium import find_chromium
from tests.clients.table import BROWSER, Client
from tests.e2e.needs import node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DRIVERS = HERE / "drivers"
MODULES = HERE / "node_modules"
OLD = ROOT / "build" / "clients"  # an old release, with what it needs
START_SECONDS = 60  # importing a library on a busy machine; a guard, never a wait
CALL_SECONDS = 20


@dataclass(frozen=True)
class Told:
    """What a client told of one call. `unhandled`: a rejection that Node dies of."""

    text: str
    error: str | None
    complete: bool
    unhandled: str | None = None


class Driver:
    """Started at once; `ask` as often as is needed, one call at a time."""

    def __init__(self, command: list[str], variables: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self.ready = False

    async def ask(self, url: str, call: str, *, patience: float) -> Told:
        """One call. `patience`: how long a client may wait that never learns more."""
        if not self.ready:
            await self.line(START_SECONDS)
            self.ready = True
        assert self.process.stdin is not None
        wanted = {"url": url, "call": call, "patience": patience}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        told = json.loads(await self.line(CALL_SECONDS + patience))
        return Told(
            told["text"], told["error"], told["complete"], told.get("unhandled")
        )

    async def line(self, seconds: float) -> str:
        """The next line; of one that hangs, none ever comes."""
        assert self.process.stdout is not None
        reading = asyncio.ensure_future(asyncio.to_thread(self.process.stdout.readline))
        try:
            line = await asyncio.wait_for(asyncio.shield(reading), seconds)
        except TimeoutError:
            self.process.kill()  # its output ends, and so does the thread
            await reading
            raise
        assert line, f"the driver ended with status {self.process.wait()}"
        return line

    def stop(self) -> None:
        """End it; it holds nothing."""
        self.process.kill()
        self.process.communicate()


def command(client: Client, bundle: Path) -> tuple[list[str], dict[str, str]]:
    """The command of a client's driver and its variables; skips where it is missing."""
    driver = str(DRIVERS / client.driver)
    if client.driver == BROWSER:
        pytest.importorskip("playwright", reason="playwright is not installed")
        return [sys.executable, driver, find_chromium(), str(bundle)], {}
    if client.driver.endswith(".mjs"):
        modules()
        return [str(node()), driver], {}
    if client.old:
        if not OLD.is_dir():
            pytest.skip("build/clients is missing: run `make clients`")
        return [sys.executable, driver], {"PYTHONPATH": str(OLD)}
    check_installed(client)
    return [sys.executable, driver], {}


def check_installed(client: Client) -> None:
    """Skip where the package is missing, or older than what was tested."""
    try:
        found = importlib.metadata.version(client.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{client.package} is not installed: run `make clients`")
    if numbers(found) < numbers(client.version):
        pytest.skip(f"{client.package} {found} is too old: run `make clients`")


def numbers(version: str) -> list[int]:
    """The numbers of a version, to compare."""
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def modules() -> Path:
    """The npm packages."""
    if not MODULES.is_dir():
        pytest.skip("tests/clients has no node_modules: run `make clients`")
    return MODULES


def bundle(target: Path, name: str = "browser.mjs") -> Path:
    """What runs in the browser, as one script."""
    esbuild = modules() / ".bin" / "esbuild"
    source = DRIVERS / name
    options = ["--bundle", "--log-level=error", f"--outfile={target}"]
    mode = '--define:process.env.NODE_ENV="production"'
    subprocess.run([esbuild, source, *options, mode], check=True, cwd=ROOT)
    return target
