"""Builds a wheel with its core compiled: hatchling's hook, and mypyc does the work.

Not by default, since it takes minutes and a C compiler:
`HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 pip wheel .`. The modules are those that `include` of
the hook's table in pyproject.toml names. The sources come with the wheel; Python takes
the compiled module before the source.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Not the configuration of the checks, and no package that lies around the project.
OPTIONS = ("--config-file=", "--ignore-missing-imports", "--explicit-package-bases")
Compile = Callable[..., list[str]]
NAME = "unbuffered"  # of the shared library that all modules are in


class CompiledCore(BuildHookInterface[Any]):
    """The hook. Its table: `include`, patterns of paths; `exclude`, names of files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel hold the result; an editable one has sources."""
        if version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp(prefix="compiled-"))
        build = compile_modules(self.modules(), self.folder)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in build.rglob("*.*"):
            build_data["force_include"][str(path)] = path.relative_to(build).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact: str) -> None:
        """Remove what is in the wheel by now."""
        if version != "editable":
            shutil.rmtree(self.folder, ignore_errors=True)

    def modules(self) -> list[str]:
        """The paths of the modules to compile, as mypyc takes them."""
        root, skipped = Path(self.root), set(self.config["exclude"])
        found = {path for each in self.config["include"] for path in root.glob(each)}
        kept = sorted(path for path in found if path.name not in skipped)
        return [str(path.relative_to(root)) for path in kept]


def compile_modules(paths: list[str], folder: Path) -> Path:
    """Compile modules, relative to the working directory; the folder of the results.

    Each to a file of C, side by side: all in one takes the compiler twice as long.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    class SideBySide(build_ext):
        def build_extensions(self) -> None:
            compiler = self.compiler
            compiler.compile = each_by_itself(compiler.compile)
            super().build_extensions()

    target = str(folder / "c")
    extensions = mypycify(
        [*OPTIONS, *paths],
        target_dir=target,
        group_name=NAME,
        debug_level="0",
        opt_level=os.environ.get("MYPYC_OPT_LEVEL", "3"),
        multi_file=True,
    )
    distribution = Distribution(
        {"ext_modules": extensions, "cmdclass": {"build_ext": SideBySide}}
    )
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "o")
    command.ensure_finalized()
    command.run()
    return folder / "lib"


def each_by_itself(compile: Compile) -> Compile:
    """Compile several files at the same time, one for each processor."""

    def all_of(sources: list[str], **options: Any) -> list[str]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda source: compile([source], **options), sources)
            return [name for names in found for name in names]

    return all_of
