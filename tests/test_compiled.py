"""The compiled core: which modules it is made of, and that nothing is half of it.

The same modules run as they are and compiled by mypyc. `make compiled` builds the
second form, and `make test-compiled` runs there what runs here.
"""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"][
    "build"
]["targets"]["wheel"]["hooks"]["custom"]


def listed() -> dict[str, Path]:
    """The modules that are compiled, by name."""
    found = {
        path
        for pattern in HOOK["include"]
        for path in ROOT.glob(pattern)
        if path.name not in HOOK["exclude"]
    }
    return {dotted(path): path for path in sorted(found)}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def classes(path: Path) -> list[tuple[str, list[str]]]:
    """The classes of a module, each with the names of its bases."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        (node.name, [ast.unparse(base) for base in node.bases])
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]


def test_the_way_of_a_request_and_of_a_piece_is_compiled() -> None:
    assert {
        "proxy.exchange.forward",
        "proxy.transport.relay",
        "proxy.http1.head",
    } <= set(listed())


@pytest.mark.parametrize("pattern", HOOK["include"])
def test_each_name_in_the_list_is_a_module(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


def test_all_are_compiled_or_none_is() -> None:
    """A build of another list than the present one is a build of half the way."""
    forms = {name: importlib.import_module(name).__file__ or "" for name in listed()}
    compiled = {name for name, file in forms.items() if not file.endswith(".py")}
    assert compiled in (set(), set(listed()))


def test_a_compiled_enumeration_is_made_without_code_of_ours() -> None:
    """Its members are made before mypyc has given the class its own type."""
    faults = [
        f"{name}: {node.name}.{each.name}"
        for name, path in listed().items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("Enum" in ast.unparse(base) for base in node.bases)
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__")
    ]
    assert faults == []


def test_a_compiled_class_has_no_subclass_that_is_not() -> None:
    """An interpreted class cannot inherit from a compiled one."""
    inside = listed()
    known = {name for path in inside.values() for name, _ in classes(path)}
    faults = [
        f"{dotted(path)}: {name}({base})"
        for path in sorted((ROOT / "proxy").rglob("*.py"))
        if dotted(path) not in inside
        for name, bases in classes(path)
        for base in bases
        if base in known
    ]
    assert faults == []


def test_no_field_of_a_tuple_or_dataclass_is_any_object() -> None:
    """mypyc 2.4 looks for the name `object` in the module, and raises at import."""
    faults = [
        f"{name}: {ast.unparse(field)}"
        for name, path in listed().items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and (node.decorator_list or "NamedTuple" in map(ast.unparse, node.bases))
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and ast.unparse(field.annotation) == "object"
    ]
    assert faults == []


# Of what a slice begins or ends with. They may be called twice.
PURE = {"bisect_left", "end", "find", "index", "len", "max", "min", "rfind", "start"}


def test_no_slice_calls_what_may_not_be_called_twice() -> None:
    """mypyc 2.4 evaluates the ends of a slice of memoryview or bytearray twice.

    `data[os.write(descriptor, data) :]` writes everything again.
    """
    faults = [
        f"{name}: {ast.unparse(call)}"
        for name, path in listed().items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Slice)
        for end in (node.lower, node.upper)
        for call in ast.walk(end or ast.Pass())
        if isinstance(call, ast.NamedExpr | ast.Await)
        or (
            isinstance(call, ast.Call)
            and ast.unparse(call.func).rpartition(".")[2] not in PURE
        )
    ]
    assert faults == []
