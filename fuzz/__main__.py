"""`python -m fuzz NAME [libFuzzer options]`: look for bytes that break `NAME`.

Reads and grows `fuzz/corpus/NAME` in memory only: new inputs are kept if a
folder for them is given first (see README).
"""

from __future__ import annotations

import importlib
import sys
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
    seeds = [str(Path(CORPUS, name))]
    atheris.Setup([arguments[0], *options, *(folders + seeds)], target.check)
    atheris.Fuzz()


main(sys.argv)
