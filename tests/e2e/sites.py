"""A dev server and Unbuffered, beside and before each other, on free ports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from tests.e2e.needs import ROOT, copy, modules, node
from tests.e2e.programs import START_SECONDS, Program
from tests.support.ports import ClosedPort


@dataclass(frozen=True)
class Tool:
    """A dev server: its example, what it says when it serves, and its script."""

    example: str
    ready: tuple[str, ...]
    script: str = "start"
    variables: dict[str, str] = field(default_factory=dict)


WEBPACK_READY = ("compiled successfully", "Project is running")
TOOLS = {
    "webpack": Tool("vue-webpack", WEBPACK_READY),
    "webpack-original": Tool("vue-webpack", WEBPACK_READY, "original"),
    "webpack-compressing": Tool(
        "vue-webpack", WEBPACK_READY, "original", {"COMPRESS": "true"}
    ),
    "vite": Tool("vue-vite", ("ready in",)),
    "next": Tool("next", ("Ready in",)),
    "openai-chat": Tool("openai-chat", ("ready in",)),
}


@dataclass(frozen=True)
class Pair:
    """What was started for one tool. The back end's port is not listened on."""

    folder: Path
    backend: ClosedPort
    behind: str  # the dev server, whose proxy points at Unbuffered
    before: str  # Unbuffered, whose route "/" is the dev server
    unbuffered: Program


@contextmanager
def unbuffered(
    folder: Path, port: int, variables: dict[str, str], *options: str
) -> Iterator[Program]:
    """`unbuffered serve` in `folder`, listening."""
    command = [sys.executable, "-m", "proxy", "serve", "--port", str(port), *options]
    paths = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with Program(command, folder, paths | variables) as program:
        program.wait_for("Ctrl-C stops")
        yield program


@contextmanager
def start(name: str, place: Path) -> Iterator[Pair]:
    """A copy of the example of the tool `name`, served both ways."""
    tool = TOOLS[name]
    source, binary = modules(tool.example), node()
    folder = copy(source, place / name)
    with ClosedPort() as backend, ClosedPort() as dev, ClosedPort() as front:
        services = dict.fromkeys(("AI", "LESSONS", "EVENTS"), backend.url)
        dev_url, front_url = (f"http://localhost:{each.port}" for each in (dev, front))
        variables = {
            **services,
            **tool.variables,
            "PORT": str(dev.port),
            "UNBUFFERED": front_url,
            "NEXT_TELEMETRY_DISABLED": "1",
            # Vite looks at its files: notices of the kernel may be used up.
            "CHOKIDAR_USEPOLLING": "true",
        }
        with (
            unbuffered(
                folder, front.port, {**services, "DEV_SERVER": dev_url}
            ) as proxy,
            Program([binary, "--run", tool.script], folder, variables) as server,
        ):
            for sign in tool.ready:
                server.wait_for(sign)
            # The first page may be built only when it is asked for.
            with urlopen(front_url, timeout=START_SECONDS) as page:
                page.read()
            yield Pair(folder, backend, dev_url, front_url, proxy)
