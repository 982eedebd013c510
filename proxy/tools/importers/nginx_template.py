"""`${NAME}` in a configuration of nginx that envsubst fills in.

The image of nginx fills in *.template files from its environment, and so do many
entry points. config.toml knows the same `${NAME}`, so it may stay. Variables of
nginx have small letters, or are set in the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.tools.importers.nginx_syntax import Directive, walk
from proxy.tools.importers.references import FromTemplate

NAME = re.compile(r"\$(?:\{(?P<long>[A-Z_][A-Z0-9_]*)\}|(?P<short>[A-Z_][A-Z0-9_]*)\b)")
WRITTEN = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")
SETS_FIRST = ("set", "auth_request_set", "perl_set", "js_set", "js_var")
SETS_LAST = ("map", "geo", "split_clients")


def mark_templates(top: list[Directive]) -> None:
    """Write each variable of the environment as `${NAME}`, in place."""
    own = set(variables_of(top))
    for directive in walk(top):
        directive.words = [
            NAME.sub(lambda found: written(found, own), word)
            for word in directive.words
        ]


def written(found: re.Match[str], own: set[str]) -> str:
    name = found["long"] or found["short"]
    return found[0] if name in own else f"${{{name}}}"


def variables_of(top: list[Directive]) -> Iterable[str]:
    """The variables that the file sets itself, bare."""
    for directive in walk(top):
        values = directive.values
        if values and (directive.name in SETS_FIRST or "set_by_lua" in directive.name):
            yield values[0].lstrip("$")
        elif values and directive.name in SETS_LAST:
            yield values[-1].lstrip("$")
        for word in values:
            yield from GROUP.findall(word)


def names(text: str) -> list[str]:
    """The variables of the environment in a text."""
    return WRITTEN.findall(text)


def has_variable(text: str) -> bool:
    """Is there a variable of nginx in it?"""
    return "$" in WRITTEN.sub("", text)


def kept(value: object) -> object:
    """A value in which `${NAME}` stays a reference, tables and lists included."""
    if isinstance(value, dict):
        return {key: kept(each) for key, each in value.items()}
    if isinstance(value, list):
        return [kept(each) for each in value]
    if type(value) is str and WRITTEN.search(value):
        return FromTemplate(value)
    return value


def with_dollars(text: str) -> str:
    """The text as a replacement of path_rewrite: each `$` of its own doubled."""
    return re.sub(r"\$(?!\{[A-Z_][A-Z0-9_]*\})", "$$", text)
