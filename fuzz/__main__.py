"""`python -m fuzz NAME [libFuzzer options]`: look for bytes that break `NAME`.

Only reads `fuzz/corpus/NAME`: new inputs are kept in the folder that is given
first (see README), or else in one for temporary files.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # ships no types

from fuzz.names import CORPUS, TARGETS


def main(arguments: list[str]) -> None:
    if len(arguments) < 2 or arguments[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [libFuzzer options]")
    name = arguments[1]
    with atheris.instrument_imports(include=["proxy", "fuzz"]):
        target = importlib.import_module(f"fuzz.{name}")
    folders = [each for each in arguments[2:] if not each.startswith("-")]
    options = [each for each in arguments[2:] if each.startswith("-")]
    seeds = str(Path(CORPUS, name))
    # New inputs are written to the first folder, which must not be the seeds'. The
    # process ends inside Fuzz(): what is made here is for the system to remove.
    first = folders or [tempfile.mkdtemp(prefix=f"fuzz-{name}-")]
    atheris.Setup([arguments[0], *options, *first, seeds], target.check)
    atheris.Fuzz()


main(sys.argv)
