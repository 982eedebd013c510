"""The floors of the house: a module imports only what stands above it.

A folder is one floor. In what order its modules stand does not matter, as long as
there is one.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the top. Beside the folders there is the vocabulary, which all may use.
FLOORS = (
    "http1",
    "stream",
    "config",
    "policy",
    "http2",
    "transport",
    "kept",
    "exchange",
    "observe",
    "record",
    "inspector",
    "server",
    "process",
    "origin",
    "library",
    "tools",
    "cli",
)
VOCABULARY = "vocabulary"

PURE = ("http1", "http2", "policy", "stream")
WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
OUTSIDE = {"asyncio", "aiohttp", "aiohappyeyeballs", "uvloop", "socket", "ssl"}


def floor_of(module: str) -> str:
    """The floor of a module: its folder, or the vocabulary."""
    if module == "proxy.__main__":
        return "cli"
    folder = module.split(".")[1] if "." in module else ""
    return folder if folder in FLOORS else VOCABULARY


def above(floor: str) -> set[str]:
    """What a floor may know: itself and all that are above it."""
    known = FLOORS[: FLOORS.index(floor) + 1] if floor in FLOORS else ()
    return {VOCABULARY, *known}


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


@cache
def all_imports(module: str) -> frozenset[str]:
    """All that a module of the proxy imports."""
    return frozenset(imports(ast.parse(PROXY[module].read_text("utf-8")), module))


def own_imports(module: str) -> set[str]:
    """The modules of the proxy that a module imports."""
    found = set()
    for name in all_imports(module):
        if name.split(".")[0] == "proxy":
            found.add(name if name in PROXY else name.rpartition(".")[0])
    return found


def outside_imports(module: str) -> set[str]:
    """The other packages that a module imports."""
    return {name.split(".")[0] for name in all_imports(module)} - {"proxy"}


@pytest.mark.parametrize("module", PROXY)
def test_a_module_imports_only_from_its_own_floor_and_those_above(module: str) -> None:
    known = above(floor_of(module))
    assert {
        name for name in own_imports(module) if floor_of(name) not in known
    } == set()


@pytest.mark.parametrize("floor", [VOCABULARY, *FLOORS])
def test_the_modules_of_a_floor_have_an_order(floor: str) -> None:
    inside = {module for module in PROXY if floor_of(module) == floor}
    assert inside
    sorter = TopologicalSorter({name: own_imports(name) & inside for name in inside})
    assert set(sorter.static_order()) == inside


def test_the_loose_modules_are_few() -> None:
    loose = [path.stem for path in (ROOT / "proxy").glob("*.py")]
    assert len(loose) <= 10, "give it a folder"


def test_an_observer_knows_the_vocabulary_and_streams_only() -> None:
    """So that observing can be taken away, or moved into another process."""
    for module in PROXY:
        if floor_of(module) == "observe":
            beyond = {
                name
                for name in own_imports(module)
                if floor_of(name) not in (VOCABULARY, "http1", "stream", "observe")
                and name not in ("proxy.config.model", "proxy.config.packages")
            }
            assert beyond == set(), module


def is_of_doctor(module: str) -> bool:
    return module.startswith("proxy.tools.doctor.")


def test_the_doctor_is_an_independent_witness() -> None:
    """What it shared with the relay, it could not find at fault.

    One module reads records, which are files like any other.
    """
    for module in filter(is_of_doctor, PROXY):
        for name in own_imports(module):
            known = [VOCABULARY, "http1", "stream"]
            if module == "proxy.tools.doctor.probe.recorded":
                known.append("record")
            assert is_of_doctor(name) or floor_of(name) in known, module


def test_the_diagnosis_and_its_report_know_no_socket() -> None:
    for module, path in PROXY.items():
        if is_of_doctor(module) and not module.startswith("proxy.tools.doctor.probe."):
            tree = ast.parse(path.read_text("utf-8"))
            assert [node for node in ast.walk(tree) if isinstance(node, WAITING)] == []
            assert outside_imports(module) & OUTSIDE == set(), module


def test_only_the_command_line_knows_the_tools() -> None:
    """What carries no byte is not in the way of those that do."""
    for module in PROXY:
        if floor_of(module) not in ("tools", "cli"):
            assert not any(floor_of(name) == "tools" for name in own_imports(module))


@pytest.mark.parametrize("floor", ["http1", "config", "stream"])
def test_a_language_speaks_of_nothing_but_itself(floor: str) -> None:
    """HTTP/1.1, the configuration and the codings do not know each other."""
    for module in PROXY:
        if floor_of(module) == floor:
            known = {floor_of(name) for name in own_imports(module)}
            assert known <= {VOCABULARY, floor}, module


@pytest.mark.parametrize("floor", PURE)
def test_a_pure_floor_waits_for_nothing_and_knows_no_socket(floor: str) -> None:
    for module, path in PROXY.items():
        if floor_of(module) == floor:
            tree = ast.parse(path.read_text("utf-8"))
            waits = [node for node in ast.walk(tree) if isinstance(node, WAITING)]
            assert waits == [], module
            assert outside_imports(module) & OUTSIDE == set(), module


def test_only_the_resolver_and_its_host_know_aiohttp() -> None:
    """To import it takes a quarter of the time of a start: nobody else needs it."""
    users = {module for module in PROXY if "aiohttp" in outside_imports(module)}
    assert users == {"proxy.transport.resolver", "proxy.library.aiohttp_host"}
    host = {m for m in PROXY if "proxy.library.aiohttp_host" in own_imports(m)}
    assert host == set()  # `unbuffered` imports it when it is asked for


def test_only_the_process_knows_the_demo() -> None:
    """An installation without the extra `demo` has it, but not what it needs."""
    users = {module for module in PROXY if "upstream_demo" in outside_imports(module)}
    assert {floor_of(module) for module in users} <= {"cli"}


def test_the_demo_plays_the_upstream_without_the_proxys_help() -> None:
    """What it shared with the proxy, it could not show. One module starts both."""
    for module, path in modules("upstream_demo").items():
        for name in imports(ast.parse(path.read_text("utf-8")), module):
            if name.split(".")[0] == "proxy" and module != "upstream_demo.demo":
                origin = name if name in PROXY else name.rpartition(".")[0]
                assert floor_of(origin) == VOCABULARY, module


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
    assert set(imports(ast.parse(source), "proxy.policy.header_fields")) == found


# -- names

# Each of them is one thing in several places: a command of the command line, the result
# of one, its form as text, the answer that tells a client of an error.
SAME_MEANING = {"__main__", "command", "result", "text", "error_response"}
BOTH = {**PROXY, **modules("upstream_demo")}


def repeated(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


# Of an exchange, what runs and the copy that a host program has.
TWO_FACES = {"Exchange"}


def test_no_name_of_a_class_is_used_twice() -> None:
    classes = [
        node.name
        for path in BOTH.values()
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]
    assert repeated(classes) == TWO_FACES


def test_modules_of_one_name_have_one_meaning() -> None:
    names = [path.stem for path in BOTH.values() if path.stem != "__init__"]
    assert repeated(names) <= SAME_MEANING
