"""The command that adds an extra to this installation, for a package that is missing.

`pip install` would reach another Python where uv or pipx has installed the program, and
a package index does not know what was installed from a clone. So the command is the one
of the installer, on this Python, and for the same source.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

NAME = "unbuffered"
ROOT = Path(__file__).parents[2]
UV_RECEIPT, PIPX_RECEIPT = "uv-receipt.toml", "pipx_metadata.json"
OF_EXTRA = re.compile(r"""\bextra == ['"]([\w.-]+)['"]""")


@dataclass(frozen=True)
class Installation:
    """A Python in which the program runs, and what was installed there."""

    prefix: Path
    python: str
    requires: tuple[str, ...] | None  # as its metadata has them; None: a clone alone
    has_pip: bool
    which: Callable[[str], str | None] = shutil.which


def install_command(extra: str, here: Installation | None = None) -> str:
    """What to type so that the packages of an extra are there."""
    here = here or this_installation()
    with_extra = f"{NAME}[{extra}]"
    receipt = here.prefix / UV_RECEIPT
    if receipt.is_file():
        return command("uv", "tool", "install", *uv_requirement(receipt, extra))
    packages = [each for each, of in extras(here.requires or ()) if of == extra]
    if (here.prefix / PIPX_RECEIPT).is_file():
        return command("pipx", "inject", NAME, *packages)
    if here.requires is None:
        packages = [f"{ROOT}[{extra}]"]
    if not here.has_pip:
        return command("uv", "pip", "install", "--python", here.python, *packages)
    wanted = with_extra if here.requires is not None else packages[0]
    pip = here.which("pip")
    if pip is not None and Path(pip).parent == Path(here.python).parent:
        return command("pip", "install", wanted)
    return command(near(here.python), "-m", "pip", "install", wanted)


def this_installation() -> Installation:
    """The one that runs."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        required: tuple[str, ...] | None = tuple(requires(NAME) or ())
    except PackageNotFoundError:
        required = None
    has_pip = find_spec("pip") is not None
    return Installation(Path(sys.prefix), sys.executable, required, has_pip)


def extras(requires: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each requirement that belongs to an extra, and that extra."""
    found = []
    for each in requires:
        requirement, _, marker = each.partition(";")
        if (of := OF_EXTRA.search(marker)) is not None:
            found.append((requirement.strip(), of[1]))
    return found


def uv_requirement(receipt: Path, extra: str) -> list[str]:
    """The requirement of `uv tool install`, again, and with one more extra."""
    try:
        table = tomllib.loads(receipt.read_text("utf-8"))["tool"]
        [own] = [each for each in table["requirements"] if each["name"] == NAME]
        others = [each for each in table["requirements"] if each is not own]
        known = [*own.get("extras", ()), extra]
    except (OSError, ValueError, LookupError, TypeError):
        return [f"{NAME}[{extra}]"]
    names = ",".join(dict.fromkeys(known))
    beside = [word for each in others for word in ("--with", each["name"])]
    for key, form in (
        ("directory", "{0}[{1}]"),
        ("editable", "{0}[{1}]"),
        ("path", "{2}[{1}] @ {0}"),
        ("git", "{2}[{1}] @ git+{0}"),
        ("url", "{2}[{1}] @ {0}"),
    ):
        if key in own:
            edit = ["--editable"] if key == "editable" else []
            return [*edit, form.format(own[key], names, NAME), *beside]
    return [f"{NAME}[{names}]", *beside]


def near(path: str) -> str:
    """A path as a person in this folder types it."""
    try:
        return os.path.join(".", Path(path).relative_to(Path.cwd()))
    except (OSError, ValueError):
        return path


def command(*words: str) -> str:
    """Words as a shell of this system takes them."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return shlex.join(words)
