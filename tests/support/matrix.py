"""The unit and wire tests on every Python of this machine: `make matrix`.

Each version has a virtual environment in build/matrix, where the project is as it
is, not compiled. On the oldest one uvloop is not installed, so that what the
proxy does without it is tried as a whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.thorough import ALL, VARIABLE

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
OURS = "{}.{}".format(*sys.version_info[:2])
ROOT = Path(__file__).parents[2]
SUITES = ("tests/unit", "tests/wire")
OPTIONS = ("-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider")
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def candidates(version: str) -> Iterator[str]:
    """Where a version may be: this one, on PATH, and what pyenv has."""
    yield sys.executable
    yield f"python{version}"
    if shutil.which("pyenv"):
        root = output("pyenv", "root")
        folders = Path(root, "versions").glob(f"{version}.*") if root else ()
        yield from (str(each / "bin" / "python") for each in sorted(folders))


def output(*command: str) -> str:
    """What a command prints; nothing if there is no such command, or it fails."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def found(version: str) -> str | None:
    """An interpreter of that version; a shim that leads nowhere is none."""
    for each in candidates(version):
        if output(each, "-c", VERSION) == version:
            return each
    return None


def environment(version: str, interpreter: str, *, uvloop: bool) -> str:
    """The interpreter of an environment with the project and what tests need."""
    folder = ROOT / "build" / "matrix" / version
    subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
    python = str(folder / "bin" / "python")
    for arguments in (["-U", "pip"], ["-e", ".", "--group", "test"]):
        subprocess.run([python, "-m", "pip", "install", "-q", *arguments],
                       check=True, cwd=ROOT)  # fmt: skip
    if not uvloop:
        subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "uvloop"],
                       check=True)  # fmt: skip
    return python


def main() -> int:
    """Run all, or with `--ends` the oldest and the newest only: what CI does.

    There the newest is left out if it is this one: the test command runs on it. And
    none tries every cut and example: the compiled core, of the same sources, does so.

    The exit status is 1 if a version fails, or none is there.
    """
    failed, ran, few = [], 0, "--ends" in sys.argv[1:]
    there = {version: found(version) for version in VERSIONS}
    ends = [version for version in VERSIONS if there[version]][:1]
    ends += [version for version in VERSIONS if there[version]][-1:]
    for version, interpreter in there.items():
        if interpreter is None:
            say(f"Python {version}: not on this machine, skipped")
            continue
        if few and version not in ends:
            say(f"Python {version}: neither the oldest nor the newest, skipped")
            continue
        uvloop = ran > 0
        if few and uvloop and version == OURS:
            say(f"Python {version}, with uvloop: runs the test command, skipped")
            continue
        say(f"Python {version}, {'with' if uvloop else 'without'} uvloop: {SUITES}")
        python = environment(version, interpreter, uvloop=uvloop)
        ran += 1
        ended = subprocess.run(
            [python, "-m", "pytest", *OPTIONS, *SUITES],
            cwd=ROOT,
            env={**os.environ, VARIABLE: "" if few else ALL},
        )
        if ended.returncode:
            failed.append(version)
    say(f"Python versions tried: {ran}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
