"""Every regular expression of the tree, how it is used, and inputs to try it with."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import proxy

ROOT = Path(proxy.__file__).parents[1]  # which a wheel may have elsewhere
PACKAGES = ("proxy", "upstream_demo")
# These begin at one place only; all other methods begin again behind each failure.
AT_ONE_PLACE = {"match", "fullmatch"}
METHODS = AT_ONE_PLACE | {"search", "findall", "finditer", "sub", "subn", "split"}
ENDS = ("", "\0", "\n\0")
LONG = 8  # times; what is repeated no more than this takes no time worth the name
# What is likely to be in a class, to separate, to open or to escape.
CHARACTERS = " \t\r\na0Z_-.,:;=?&#%@/\\\"'`(){}[]<>$*+!|^~\xe4"


class Found(NamedTuple):
    """A pattern; `methods`: with which it is applied, as far as can be told."""

    place: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


@cache
def modules() -> dict[str, list[ast.AST]]:
    """Every module of the packages: its syntax tree, from the module on."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): [
            *ast.walk(ast.parse(path.read_text("utf-8")))
        ]
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    }


def patterns() -> Iterator[Found | str]:
    """Every pattern; as text the place of one that is known at run time only."""
    methods = methods_by_name()
    for module, nodes in modules().items():
        for node in nodes:
            if not is_of_re(node):
                continue
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Attribute)
            place = f"{module}:{node.lineno}"
            method = node.func.attr
            try:
                value = evaluated(node.args[0], module)
            except NameError:
                yield place
                continue
            pattern = (
                cast("re.Pattern[Any]", evaluated(node, module))
                if method == "compile"
                else re.compile(value)
            )
            name = named(nodes[0], node)
            # One of a table of patterns is called `pattern` where it is applied.
            used = methods.get((module, name or "pattern"), frozenset())
            used = used if method == "compile" else frozenset({method})
            yield Found(f"{place} {name}".strip(), pattern, used)


def is_of_re(node: ast.AST) -> bool:
    """Is it `re.compile(…)`, `re.sub(…)` or the like?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in METHODS | {"compile"}
    )


def evaluated(node: ast.expr, module: str) -> Any:
    """The value of an expression among the names of its module."""
    code = compile(ast.Expression(node), module, "eval")
    return eval(code, dict(vars(importlib.import_module(module))))


def named(tree: ast.AST, node: ast.Call) -> str:
    """The name that a module gives to a pattern, "" if it gives none."""
    assert isinstance(tree, ast.Module)
    for each in tree.body:
        if isinstance(each, ast.Assign) and each.value is node:
            (target,) = each.targets
            return target.id if isinstance(target, ast.Name) else ""
    return ""


@cache
def methods_by_name() -> dict[tuple[str, str], frozenset[str]]:
    """The methods that are called on a name of a module, there and where it is used."""
    found: dict[tuple[str, str], set[str]] = {}
    for module, nodes in modules().items():
        origins = {
            alias.asname or alias.name: (each.module, alias.name)
            for each in nodes
            if isinstance(each, ast.ImportFrom) and each.module
            for alias in each.names
        }
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = node.value.id
                key = origins.get(name, (module, name))
                found.setdefault(key, set()).add(node.attr)
    return {key: frozenset(used & METHODS) for key, used in found.items()}


def inputs(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """A beginning, what is repeated behind it, and an end: from the pattern itself.

    Each repetition of the pattern can be reached by what stands before it, and is kept
    going by what is in it; then comes something that fits nowhere. What no repetition
    without a limit can read is not repeated: it cannot make a pattern go back.
    """
    parser = importlib.import_module("re._parser")
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    heads, bodies = {""}, set(CHARACTERS)
    openings: set[str] = set()
    collect(list(tree), "", heads, bodies, openings, kept=False)
    if not any(map(repeats, tree)):  # each place takes a time of its own, and no more
        heads = {""}
    for head in sorted(heads, key=len)[:12]:
        for body in sorted(bodies):
            for end in ENDS:
                yield head, body, end
    for opening in sorted(openings - {""}):  # each reads on to the end, in vain
        for character in ("", *CHARACTERS):
            for end in ENDS:
                yield "", opening + character, end


def collect(
    items: list[Any],
    before: str,
    heads: set[str],
    bodies: set[str],
    openings: set[str],
    *,
    kept: bool,
) -> None:
    """Note what leads to each part of a pattern, and what each part is made of.

    `kept` tells that the items are inside a repetition without a limit; an opening is
    what stands before one.
    """
    for position, item in enumerate(items):
        heads.add(before)
        if is_endless(item):
            openings.add(before)
        for length in (1, 2, 3, len(items)):
            some = items[position : position + length]
            if kept or any(map(repeats, some)):
                bodies.add("".join(map(sample, some)))
        for inner in parts(item):
            collect(
                inner, before, heads, bodies, openings, kept=kept or is_endless(item)
            )
        before += sample(item)
    heads.add(before)
    bodies.discard("")


def is_endless(item: Any) -> bool:
    """Is it a repetition that can go on for long?"""
    return str(item[0]).endswith("_REPEAT") and int(item[1][1]) > LONG


def repeats(item: Any) -> bool:
    """Is there such a repetition in it?"""
    return is_endless(item) or any(repeats(e) for inner in parts(item) for e in inner)


def parts(item: Any) -> list[list[Any]]:
    """The sequences inside a part of a pattern."""
    name, value = str(item[0]), item[1]
    if name == "BRANCH":
        return [list(each) for each in value[1]]
    if name == "SUBPATTERN":
        return [list(value[3])]
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [list(value[2])]
    if name == "ATOMIC_GROUP":
        return [list(value)]
    return []


def sample(item: Any) -> str:
    """A text that a part of a pattern matches."""
    name, value = str(item[0]), item[1]
    if name == "LITERAL":
        return chr(cast("int", value))
    if name in ("ANY", "NOT_LITERAL"):
        return "-" if value == ord("a") else "a"
    if name == "IN":
        return member(value)
    if name.endswith("_REPEAT"):
        return "".join(map(sample, value[2])) * int(value[0] or 1)
    inner = parts(item)
    return "".join(map(sample, inner[0])) if inner else ""


def member(items: list[Any]) -> str:
    """A character of a class."""
    if str(items[0][0]) == "NEGATE":
        taken = {chr(value) for name, value in items if str(name) == "LITERAL"}
        return next(each for each in "a-0 /" if each not in taken)
    name, value = str(items[0][0]), items[0][1]
    if name in ("LITERAL", "RANGE"):
        return chr(cast("int", value if name == "LITERAL" else value[0]))
    categories = {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}
    return categories.get(str(value), "a")
