"""Values of a JavaScript configuration, as the evaluation hands them over.

What JSON cannot say arrives as a table with one marking key.
"""

from __future__ import annotations

MARK = "$unbuffered"
ONE_LINE = 60  # characters of a source that is shown


def mark(value: object) -> str:
    """What stands here that is no plain value: "function", "regexp", or ""."""
    return str(value.get(MARK, "")) if isinstance(value, dict) else ""


def is_function(value: object) -> bool:
    return mark(value) in ("function", "stub")


def source(value: object) -> str:
    """The source text of a function or of a regular expression."""
    return str(value.get("source", "")) if isinstance(value, dict) else ""


def table(value: object) -> dict[str, object]:
    """A plain table, or an empty one."""
    return value if isinstance(value, dict) and not mark(value) else {}


def number(value: object) -> float | None:
    """A number, or the text of one; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def shown(value: object) -> str:
    """A value in a few words, for a comment on one line."""
    if value is None:
        return "nothing (is an environment variable not set?)"
    if is_function(value):
        return "a function"
    if mark(value) == "regexp":
        return f"/{source(value)}/"
    if mark(value):
        return f"a value of another kind ({mark(value)})"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = " ".join(str(value).split())
    return text if len(text) <= ONE_LINE else text[: ONE_LINE - 1] + "…"
