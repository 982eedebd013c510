"""A JavaScript configuration, evaluated by the project's own node.

In a child process with a time limit. Whatever it starts ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxy.tools.importers.draft import Unreadable

SECONDS = 30.0
SCRIPT = Path(__file__).parent / "node" / "evaluate.mjs"
NO_NODE = (
    "node is not on the PATH, but is needed to evaluate {name}: install Node.js "
    "(18.19 or newer), or write the routes by hand (docs/migrating.md)"
)
NO_TYPESCRIPT = (
    "{name} is TypeScript, and no compiler for it was found: install the packages "
    "of the project (vite, esbuild or typescript is enough), or use Node.js 22.18 "
    "or newer"
)

INSTALL = "; install the packages of the project and try again"
NOT_FOUND = "MODULE_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What it says of its proxy, and the modules that were not there.

    `sources`: the .env file that gave a variable its value, by the variable's name;
    empty where a file has it, and the environment had it before.
    """

    found: dict[str, object]
    missing: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=dict)


def evaluate(kind: str, path: Path, seconds: float = SECONDS) -> Evaluated:
    """Evaluate a configuration in its project's folder.

    Raises:
        Unreadable: there is no node, or the file cannot be evaluated.
    """
    node = shutil.which("node")
    if node is None:
        raise Unreadable(NO_NODE.format(name=path.name))
    with tempfile.TemporaryDirectory(prefix="unbuffered-") as folder:
        result, errors = Path(folder, "result.json"), Path(folder, "errors")
        command = [node, str(SCRIPT), kind, str(path.resolve()), str(result)]
        in_time = run(command, project_of(path), errors, seconds)
        if not in_time:
            raise Unreadable(f"{path.name} was not evaluated within {seconds:g} s")
        if not result.exists():
            last = errors.read_text("utf-8", "replace").strip().splitlines()[-1:]
            reason = "".join(last) or "node exited without an error message"
            raise Unreadable(f"{path.name} cannot be evaluated: {reason}")
        answer = json.loads(result.read_text("utf-8"))
    if answer.get("code") == "NO_TYPESCRIPT":
        raise Unreadable(NO_TYPESCRIPT.format(name=path.name))
    if "error" in answer:
        missing = ", ".join(answer["missing"])
        without = f" (without {missing}, not installed here)" if missing else ""
        advice = INSTALL if missing or NOT_FOUND in answer["code"] else ""
        raise Unreadable(
            f"{path.name} cannot be evaluated{without}: {answer['error']}{advice}"
        )
    return Evaluated(answer["found"], tuple(answer["missing"]), answer["sources"])


def run(command: list[str], folder: Path, errors: Path, seconds: float) -> bool:
    """Run a command to its end, or to the end of its time; was it in time?

    It leads a group of processes of its own, which is ended in any case: by us, or
    by itself once the other end of its pipe is closed, because we were killed.
    """
    environ = {"NODE_ENV": "development", **os.environ}
    with errors.open("wb") as told, pipe() as inherited:
        child = subprocess.Popen(
            [*command, *map(str, inherited)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
            pass_fds=inherited,
        )
        return wait(child, seconds)


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, ...]]:
    """The end of a pipe for a child; ours is open until the child has ended.

    Windows hands on no descriptors: there is none.
    """
    if sys.platform == "win32":
        yield ()
        return
    theirs, ours = os.pipe()
    try:
        yield (theirs,)
    finally:
        os.close(theirs)
        os.close(ours)


def wait(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end of a child for so long; then end it. Was it in time?"""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        end(child)
    return True


def end(child: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()


def project_of(path: Path) -> Path:
    """The folder that a dev server is started in: the nearest package.json's."""
    folder = path.resolve().parent
    for each in (folder, *folder.parents):
        if (each / "package.json").is_file():
            return each
    return folder
