"""The floors of the house: a module imports only what stands above it.

The table is the order. A folder is one floor; its modules need no rows, for
what matters is that some order of them exists. A new module beside the
folders gets its row here, below all that it imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS: dict[str, tuple[str, ...]] = {
    "vocabulary": (
        "proxy",
        "proxy.colour",
        "proxy.credentials",
        "proxy.errors",
        "proxy.timeline",
        "proxy.internal_errors",
        "proxy.quantities",
        "proxy.web.",
        "proxy.output",
        "proxy.observe.line_writer",  # for whatever writes lines, the demo included
    ),
    "http1": ("proxy.http1.",),
    "config": ("proxy.config.",),
    "dialects": ("proxy.dialects.",),
    "migrate": ("proxy.migrate.",),
    "policy": ("proxy.policy.",),
    "stream": ("proxy.stream.",),
    "transport": ("proxy.transport.",),
    "composition": (
        "proxy.admission",
        "proxy.prepared",
        "proxy.exchange",
        "proxy.departing",
        "proxy.reaching",
        "proxy.forward",
    ),
    "observe": ("proxy.observe.",),
    "inspector": ("proxy.inspector.",),
    "top": ("proxy.top.",),
    "explain": ("proxy.explain.",),
    "doctor": (
        "proxy.doctor.",
        "proxy.doctor.telling.",
        "proxy.doctor.measuring.",
    ),
    "process": (
        "proxy.port_sharing",
        "proxy.listener",
        "proxy.drain",
        "proxy.server",
        "proxy.reload",
        "proxy.signals",
        "proxy.process",
        "proxy.usage",
        "proxy.completing",
        "proxy.devtls",
        "proxy.workers.",
        "proxy.serving",
        "proxy.cli",
        "proxy.__main__",
    ),
}
ROWS = [row for floor in FLOORS.values() for row in floor]
FLOOR_OF_ROW = {row: name for name, rows in FLOORS.items() for row in rows}

PURE = ("http1", "policy", "stream")
WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
OUTSIDE = {"asyncio", "aiohttp", "aiohappyeyeballs", "uvloop", "socket", "ssl"}


def row_of(module: str) -> str:
    """The row of a module: its own, or that of its folder."""
    folder = module[: module.rindex(".") + 1] if "." in module else module
    return module if module in ROWS else folder


def floor_of(module: str) -> str:
    return FLOOR_OF_ROW[row_of(module)]


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its name; an empty __init__ is none."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
            if not path.read_text("utf-8").strip():
                continue
        found[".".join(parts)] = path
    return found


PROXY = modules("proxy")


def imports(tree: ast.AST, module: str) -> Iterator[str]:
    """All that a module imports, wherever it does: `a.b`, or `a.b.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{name.name}" for name in node.names)


def own_imports(module: str) -> set[str]:
    """The modules of the proxy that a module imports."""
    found = set()
    for name in imports(ast.parse(PROXY[module].read_text("utf-8")), module):
        if name.split(".")[0] == "proxy":
            found.add(name if name in PROXY else name.rpartition(".")[0])
    return found


def outside_imports(module: str) -> set[str]:
    """The other packages that a module imports."""
    tree = ast.parse(PROXY[module].read_text("utf-8"))
    return {name.split(".")[0] for name in imports(tree, module)} - {"proxy"}


def test_every_module_has_its_row_and_every_row_a_module() -> None:
    assert {module for module in PROXY if row_of(module) not in ROWS} == set()
    assert {row_of(module) for module in PROXY} == set(ROWS)


@pytest.mark.parametrize("module", PROXY)
def test_a_module_imports_only_from_rows_above_its_own(module: str) -> None:
    row = row_of(module)
    above = set(ROWS[: ROWS.index(row)]) | ({row} if row.endswith(".") else set())
    assert {name for name in own_imports(module) if row_of(name) not in above} == set()


@pytest.mark.parametrize("row", [row for row in ROWS if row.endswith(".")])
def test_the_modules_of_a_folder_have_an_order(row: str) -> None:
    inside = {module for module in PROXY if row_of(module) == row}
    sorter = TopologicalSorter({name: own_imports(name) & inside for name in inside})
    assert set(sorter.static_order()) == inside


def test_an_observer_knows_the_vocabulary_and_streams_only() -> None:
    """So that observing can be taken away, or moved into another process."""
    for module in PROXY:
        if floor_of(module) == "observe":
            beyond = {
                name
                for name in own_imports(module) - {"proxy.config.model"}
                if floor_of(name) not in ("vocabulary", "http1", "stream", "observe")
            }
            assert beyond == set(), module


def test_the_doctor_is_an_independent_witness() -> None:
    """What it shared with the relay, it could not find at fault."""
    known = {"vocabulary", "http1", "stream", "doctor"}
    for module in PROXY:
        if floor_of(module) == "doctor":
            assert {floor_of(name) for name in own_imports(module)} <= known, module


def test_the_diagnosis_and_its_report_know_no_socket() -> None:
    for module, path in PROXY.items():
        if row_of(module) in ("proxy.doctor.", "proxy.doctor.telling."):
            tree = ast.parse(path.read_text("utf-8"))
            assert [node for node in ast.walk(tree) if isinstance(node, WAITING)] == []
            assert outside_imports(module) & OUTSIDE == set(), module


@pytest.mark.parametrize("floor", ["http1", "config", "stream"])
def test_a_language_speaks_of_nothing_but_itself(floor: str) -> None:
    """HTTP/1.1, the configuration and the codings do not know each other."""
    for module in PROXY:
        if floor_of(module) == floor:
            known = {floor_of(name) for name in own_imports(module)}
            assert known <= {"vocabulary", floor}, module


@pytest.mark.parametrize("floor", PURE)
def test_a_pure_floor_waits_for_nothing_and_knows_no_socket(floor: str) -> None:
    for module, path in PROXY.items():
        if floor_of(module) == floor:
            tree = ast.parse(path.read_text("utf-8"))
            waits = [node for node in ast.walk(tree) if isinstance(node, WAITING)]
            assert waits == [], module
            assert outside_imports(module) & OUTSIDE == set(), module


def test_only_the_resolver_knows_aiohttp() -> None:
    users = {module for module in PROXY if "aiohttp" in outside_imports(module)}
    assert users == {"proxy.transport.resolver"}


def test_only_the_process_knows_the_demo() -> None:
    """An installation without the extra `demo` has it, but not what it needs."""
    users = {module for module in PROXY if "upstream_demo" in outside_imports(module)}
    assert {floor_of(module) for module in users} <= {"process"}


def test_the_demo_plays_the_upstream_without_the_proxys_help() -> None:
    """What it shared with the proxy, it could not show. One module starts both."""
    for module, path in modules("upstream_demo").items():
        for name in imports(ast.parse(path.read_text("utf-8")), module):
            if name.split(".")[0] == "proxy" and module != "upstream_demo.demo":
                origin = name if name in PROXY else name.rpartition(".")[0]
                assert floor_of(origin) == "vocabulary", module


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("import a.b", {"a.b"}, id="import"),
        pytest.param("import a as b, c", {"a", "c"}, id="two"),
        pytest.param("from a.b import c, d as e", {"a.b.c", "a.b.d"}, id="from"),
        pytest.param("from . import x", {"proxy.policy.x"}, id="relative"),
        pytest.param("from ..errors import X", {"proxy.errors.X"}, id="two dots"),
        pytest.param("def f():\n import a", {"a"}, id="in a function"),
        pytest.param(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import a",
            {"typing.TYPE_CHECKING", "a"},
            id="for the type checker only",
        ),
        pytest.param("try:\n import a\nexcept ImportError:\n import b", {"a", "b"},
                     id="one of two"),
    ],
)  # fmt: skip
def test_an_import_is_found_wherever_it_stands(source: str, found: set[str]) -> None:
    assert set(imports(ast.parse(source), "proxy.policy.fields")) == found
