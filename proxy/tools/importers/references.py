"""What is secret in a configuration, and the variables that stand in its place."""

from __future__ import annotations

import re

from proxy.tools.importers.draft import Draft
from proxy.tools.importers.values import table

SECRET = re.compile(
    r"auth|cookie|token|secret|key|passw|credential|session|signature|jwt", re.I
)
# Whatever the field is called.
CREDENTIAL = re.compile(r"(bearer|basic|token|apikey|negotiate) \S", re.I)
PARAMETER = re.compile(
    r"(?P<before>.*[?&](?P<name>[^?=&#]+)=)(?P<value>[^&#]+)(?P<after>.*)", re.DOTALL
)


class Reference(str):
    """A value that the environment gives: `${NAME}`, in the text around it."""

    variable: str

    def __new__(cls, variable: str, before: str = "", after: str = "") -> Reference:
        made = super().__new__(cls, f"{before}${{{variable}}}{after}")
        made.variable = variable
        return made


class FromTemplate(str):
    """A text with `${NAME}` in it that envsubst filled in, and config.toml does."""

    @property
    def variables(self) -> list[str]:
        return re.findall(r"\$\{(\w+)\}", self)


def templates(value: object) -> list[str]:
    """The variables of the environment that a template's values need."""
    if isinstance(value, FromTemplate):
        return value.variables
    inner = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inner, list):
        return []
    return [*dict.fromkeys(name for each in inner for name in templates(each))]


def is_secret(name: str, content: str) -> bool:
    """Is it better not to write the value of a field down?"""
    named = SECRET.search(name) or CREDENTIAL.match(content)
    return bool(content) and named is not None


def hide_parameters(draft: Draft) -> None:
    """Keys in the query of a rewritten path become references, as fields do."""
    rules = draft.keys.get("path_rewrite")
    for pattern, replacement in table(rules).items():
        found = PARAMETER.fullmatch(str(replacement))
        if not found or not SECRET.search(found["name"]) or "$" in found["value"]:
            continue
        variable = variable_name(draft.prefix, found["name"])
        assert isinstance(rules, dict)
        rules[pattern] = Reference(variable, found["before"], found["after"])
        draft.remarks.pop("path_rewrite", None)
        draft.notes.append(
            f"{found['name']}: its value was not copied; set the environment "
            f"variable {variable} to it"
        )


def variable_name(prefix: str, name: str) -> str:
    """A name for the environment: `/api` and `auth` are `API_AUTH`."""
    found = re.sub(r"[^A-Z0-9]+", "_", f"{prefix}_{name}".upper()).strip("_")
    return f"PROXY_{found}" if found[:1].isdigit() or prefix == "/" else found
