"""The rules of path_rewrite: a pattern by `re`, a replacement as in JavaScript.

A rule is judged here as rewriting uses it. What can never match is a fault: nobody
would notice that the path stays as it is.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

from proxy.config.fault_text import quoted
from proxy.config.file_path import as_written
from proxy.config.lookalikes import first, in_ascii, named

REFERENCE = re.compile(r"\$(?:\$|&|(?P<number>\d{1,2})|<(?P<name>\w+)>)")
PYTHON_REFERENCE = re.compile(r"\\(?:(\d{1,2})|g<(\w+)>)")
# A literal of JavaScript: /^\/api/gi
JAVASCRIPT = re.compile(r"/((?:\\.|[^\\])*?)(?:/([dgimsuvy]*))?", re.DOTALL)


def check_rule(pattern: str, replacement: str) -> None:
    """A rule of path_rewrite: the pattern compiles, its groups exist.

    Raises:
        ValueError: says what is wrong with the rule.
    """
    check_pattern(pattern)
    expression = compiled(pattern)
    foreign = PYTHON_REFERENCE.search(replacement)
    if foreign:
        better = f"${foreign[1]}" if foreign[1] else f"$<{foreign[2]}>"
        raise ValueError(f"{foreign[0]} in the replacement: write {better}")
    for reference in REFERENCE.finditer(replacement):
        number, name = reference["number"], reference["name"]
        exists = int(number or 0) <= expression.groups
        if name is not None:
            exists = name in expression.groupindex
        if not exists:
            raise ValueError(
                f"{reference[0]} in the replacement: "
                f"the pattern has {groups_in_words(expression)}"
            )


def check_pattern(pattern: str) -> None:
    """A pattern that compiles and can match a path.

    Raises:
        ValueError: says what to write instead.
    """
    at = first(pattern)
    if at is not None:
        raise ValueError(
            f"the pattern contains {named(pattern[at])}: write "
            f"{literal(in_ascii(pattern))}"
        )
    control = re.search(r"[\x00-\x1f\x7f]", pattern)
    if control is not None:
        raise ValueError(
            "the pattern contains a control character, an escape of double quotes: "
            f"write it in single quotes: {literal(as_written(pattern))}"
        )
    script = in_python(pattern)
    if script is not None:
        raise ValueError(
            "this is a regular expression as JavaScript has it, which never matches: "
            f"write {literal(script)}"
        )
    if re.match(r"\^\w(?![?*{])", pattern) and "|" not in pattern:
        better = "the path only" if "://" in pattern else literal(f"^/{pattern[1:]}")
        raise ValueError(f"never matches, since a path begins with /: write {better}")
    if re.match(r"[\w/-]+\^", pattern):
        better = "^" + pattern.replace("^", "", 1)
        raise ValueError(
            f"never matches, since ^ is the start of the path: write {literal(better)}"
        )


def in_python(pattern: str) -> str | None:
    """What is between the slashes of a literal of JavaScript; None: it is none.

    `/api/` and `/v1/s` may be meant as they stand.
    """
    made = re.fullmatch(r"(?:new )?RegExp\(\s*+(['\"/])((?:(?!\1).)*+)\1.*", pattern)
    if made is not None:
        return made[2]
    found = JAVASCRIPT.fullmatch(pattern)
    if found is None:
        return None
    body, flags = found[1], found[2] or ""
    if not (body.startswith("^") or r"\/" in body or body.endswith("$")):
        return None
    if found[2] is None and not body.startswith("^"):
        return None  # it has no slash at its end
    body = re.sub(r"^\^(?=\w)", "^/", body.replace(r"\/", "/"))
    return ("(?i)" if "i" in flags else "") + body


def literal(text: str) -> str:
    """A text as TOML has it best when it has backslashes: in single quotes."""
    plain = "'" in text or not text.isprintable()
    return quoted(text) if plain else f"'{text}'"


def compiled(pattern: str) -> re.Pattern[str]:
    """The compiled pattern; what `re` only warns of is a fault too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        advice = "; write a named group as (?P<name>…)" if "(?<" in pattern else ""
        raise ValueError(
            f"the regular expression is not valid: {error}{advice}"
        ) from error


def groups_in_words(expression: re.Pattern[str]) -> str:
    """The groups that a replacement can refer to."""
    names = {number: f"$<{name}>" for name, number in expression.groupindex.items()}
    groups = [
        names.get(number, f"${number}") for number in range(1, expression.groups + 1)
    ]
    return f"only {', '.join(groups)}" if groups else "no groups"


def rewritten(rules: Mapping[str, str], path: str) -> str | None:
    """A path as the rules leave it; None: that depends on the path."""
    for pattern, replacement in rules.items():
        found = re.search(pattern, path)
        if found is not None:
            whole = path[: found.start()] + replacement + path[found.end() :]
            return None if "$" in replacement else whole
    return path
