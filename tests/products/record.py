"""Record the traces anew: `python -m tests.products.record [NAME …]`.

Each goes to tests/traces/NAME.json and says how it was made.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from proxy.tools.doctor.record import dump
from tests.products.cases import CASES, FREE, Case
from tests.products.measuring import measured
from tests.products.running import PEERS, PRODUCTS, program

TRACES = Path(__file__).parents[1] / "traces"
PORT = re.compile(r"127\.0\.0\.1:\d+")


def version(case: Case) -> str:
    """Which version was recorded."""
    needs = PRODUCTS[case.product].needs
    if needs.startswith("node:"):
        folder = PEERS / "node_modules" / needs.removeprefix("node:")
        found = re.search(
            r'"version": "([^"]+)"', (folder / "package.json").read_text()
        )
        return f"{folder.name} {found[1] if found else '?'}"
    if needs.startswith("python:"):
        names = needs.removeprefix("python:").split("+")
        return ", ".join(f"{name} {metadata.version(name)}" for name in names)
    if needs.startswith("/"):
        needs = "apache2"
    flag = "version" if needs == "caddy" else "--version" if needs == "envoy" else "-v"
    shown = subprocess.run([program(needs) or needs, flag], capture_output=True)
    return f"{needs} {(shown.stdout + shown.stderr).decode().splitlines()[0]}".strip()


async def record(case: Case) -> None:
    """One trace."""
    with tempfile.TemporaryDirectory() as folder:
        recording = await measured(case, Path(folder))
    lines = " ".join(case.lines(None).split())
    note = (
        f"{version(case)}; lines added to its configuration: {lines or 'none'}; "
        f"stream {case.stream} of the test origin, {case.method}; "
        f"python -m tests.products.record {case.name}"
    )
    url = PORT.sub("127.0.0.1:8080", recording.url)
    recording = replace(recording, url=url, note=note)
    (TRACES / f"{case.name}.json").write_text(dump([recording]), "utf-8")


async def main(names: list[str]) -> None:
    for case in (*CASES, *FREE):
        if not names or case.name in names:
            missing = PRODUCTS[case.product].missing
            if missing is None:
                await record(case)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
