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
from tests.products.case import Case
from tests.products.cases import CASES, FREE
from tests.products.measuring import measured
from tests.products.product_command import FOLDERS, program
from tests.products.python_commands import OLD
from tests.products.running import PRODUCTS

TRACES = Path(__file__).parents[1] / "traces"
# What is a package of Python, though it has a program, too.
PACKAGES = ("gunicorn", "granian", "uvicorn", "sanic", "waitress")
FLAGS = {"caddy": "version", "varnishd": "-V"} | dict.fromkeys(
    ("envoy", "puma", "mitmdump", "uwsgi_python3"), "--version"
)
PORT = re.compile(r"127\.0\.0\.1:\d+")


def version(case: Case) -> str:
    """Which version was recorded."""
    return " with ".join(map(version_of, PRODUCTS[case.product].needs.split("+")))


def version_of(needs: str) -> str:
    """Of one program or package."""
    needs = needs.removeprefix("python:")
    if needs.startswith("node:"):
        name = needs.removeprefix("node:")
        module = next(
            each for each in FOLDERS if (each / "node_modules" / name).is_dir()
        )
        text = (module / "node_modules" / name / "package.json").read_text()
        number = re.search(r'"version": *"([^"]+)"', text)
        return f"{name} {number[1] if number else '?'}"
    if needs.startswith(str(OLD)):
        [found] = OLD.glob(f"{Path(needs).name}-*.dist-info")
        return found.stem.replace("-", " ", 1)
    if needs.startswith("/"):
        needs = "apache2" if "apache" in needs else Path(needs).name
    path = program(needs)
    if path is None or needs in PACKAGES:
        return f"{needs} {metadata.version(needs)}"
    flag = FLAGS.get(needs, "-v")
    shown = subprocess.run([path, flag], capture_output=True)
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
