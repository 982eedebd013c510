"""References to the environment inside the strings of a configuration.

`${NAME}` and `${NAME:-default}` mean what they mean in a shell: the default
counts where the variable is unset or empty. `$${` is a literal `${`. Any other
dollar stands for itself, so `$1` and `$&` of a path_rewrite need no care.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT = " (default)"  # behind a variable whose default was taken
REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}"
    r"|(?P<broken>\$\{)"
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A string with its references replaced; `references` says by what."""

    text: str
    references: tuple[str, ...] = ()


def expand(text: str, environ: Mapping[str, str]) -> Expansion:
    """Replace every reference in `text`. The values never show in a message.

    Raises:
        ValueError: names each variable that is unset, or the faulty reference.
    """
    references: list[str] = []
    faults: list[str] = []

    def replace(found: re.Match[str]) -> str:
        if found["literal"]:
            return "${"
        if found["broken"]:
            # What follows is not shown: it may be a key pasted in by mistake.
            faults.append(
                f"the ${{ at character {found.start() + 1} does not start a "
                "variable reference: write ${NAME}, ${NAME:-default}, or $${ "
                "for a literal ${"
            )
            return ""
        name, default = found["name"], found["default"]
        value = environ.get(name)
        if value or (value is not None and default is None):
            references.append(f"${{{name}}}")
            faults.extend(encoding_faults(name, value))
            return value
        if default is None:
            faults.append(
                f"the environment variable {name} is not set: set it, "
                f"or write ${{{name}:-default}}"
            )
            return ""
        references.append(f"${{{name}}}{DEFAULT}")
        return str(default)

    expanded = REFERENCE.sub(replace, text)
    if faults:
        raise ValueError("; ".join(dict.fromkeys(faults)))
    return Expansion(expanded, tuple(dict.fromkeys(references)))


def encoding_faults(name: str, value: str) -> list[str]:
    """Bytes that are no UTF-8 come from the system as lone surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return [f"the environment variable {name} is not valid UTF-8"]
    return []
