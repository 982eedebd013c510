"""What it takes to start a product, and whether the machine has it.

Nothing is installed here. A product that is not on the machine is told as a
reason to skip.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("PEERS", HERE.parents[1] / "bench" / "proxies"))
NEXT = HERE.parents[1] / "examples" / "next"
FOLDERS = (PEERS, HERE, NEXT)  # of Node modules
SHOWN = ("bench/proxies", "tests/products", "examples/next")
APACHE = "/usr/lib/apache2/modules"
Command = Callable[[int, int, str, Path], list[str]]


@dataclass(frozen=True)
class Product:
    """`command(port, origin, lines, folder)`.

    `needs`: a program, `node:` and a module, `python:` and modules, or a file.
    `ready`: what it prints when it listens for good; Vite tries its port before that,
    with a listener that it closes again.
    """

    name: str
    needs: str
    command: Command
    ready: str = ""

    @property
    def missing(self) -> str | None:
        """Why it cannot be started, None if it can."""
        if self.needs.startswith("node:"):
            if shutil.which("node") is None:
                return "node is not installed"
            name = self.needs.removeprefix("node:")
            if not any((each / "node_modules" / name).is_dir() for each in FOLDERS):
                return f"{name} is not installed: npm ci in {' or '.join(SHOWN)}"
            return None
        if self.needs.startswith("/"):
            found = Path(self.needs).exists()
            return None if found else f"{Path(self.needs).stem} is not installed"
        if self.needs.startswith("python:"):
            name = self.needs.removeprefix("python:")
            found = all(importlib.util.find_spec(each) for each in name.split("+"))
            return None if found else f"{name} is not installed: group products"
        for name in self.needs.split("+"):
            if not program(name):
                return f"{name} is not installed"
        return None


def program(name: str) -> str | None:
    """Where a program is; ENVOY may name that of Envoy."""
    if name == "php-fpm":  # Debian's has its version in its name
        return next(map(str, sorted(Path("/usr/sbin").glob("php-fpm*"))), None)
    return os.environ.get(name.upper()) or shutil.which(name)
