"""Contexts of a dev server in terms of prefixes; JavaScript's patterns in Python's.

Pure. What cannot be said exactly is None, never a guess.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Literal, TypeAlias

from proxy.config.paths import check_prefix

LONGEST_GLOB = 1000  # characters; braces are replaced one after the other
MOST_PREFIXES = 64  # of one context; each choice multiplies them
Reach: TypeAlias = Literal["text", "segment", "exact"]

SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
GLOB = re.compile(r"[*?!{}\[\]]|[@+]\(")
BRACES = re.compile(r"\{([^{}]+)\}")
GLOB_TAIL = re.compile(r"(?:/\*\*(?:/\*)?|/\*|\*\*)\Z")
# What may follow the literal part of a pattern without making it choosy.
TAIL = re.compile(
    r"(?:/?\.\*|/?\(\.\*\)|/\?|/\.\+|/|\((?:\?:|\?=)?/\|\$\)|\((?:\?:)?/\.\*\)\?|\\b)?\$?\Z"
)
ANY_TEXT = (".*", "(.*)", "/?", "/?.*", "/?(.*)", "\\b")
OPEN = (".*", ".+", "(.*)", "|$)", ")?")  # an end after these says nothing more
LITERAL = re.compile(r"(?:[A-Za-z0-9_~%@:/-]|\\[.\-_~])+")
PART = re.compile(rf"(?P<text>{LITERAL.pattern})|\((?:\?:)?(?P<choice>[^()]+)\)")
NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")
NAMED_REFERENCE = re.compile(r"\\k<(\w+)>")


def escape(text: str) -> str:
    """The text as a pattern; a slash and a dash need nothing."""
    return SPECIAL.sub(r"\\\g<0>", text)


def is_literal(pattern: str) -> bool:
    """Does the pattern match one text only?"""
    return SPECIAL.search(re.sub(r"\\(\W)", "", pattern)) is None


def unescape(pattern: str) -> str:
    """The text that a literal pattern matches."""
    return re.sub(r"\\(\W)", r"\1", pattern)


def prefixes_of_glob(glob: str) -> list[str] | None:
    """`/api/**` is `/api`; `/{api,auth}/**` is two; a finer glob is None."""
    bare: list[str] = []
    todo = [glob]
    while todo:
        whole = todo.pop(0)
        braces = BRACES.search(whole)
        if braces is None:
            bare.append(GLOB_TAIL.sub("", whole))
            continue
        before, after = whole[: braces.start()], whole[braces.end() :]
        todo[:0] = [before + each.strip() + after for each in braces[1].split(",")]
        if len(bare) + len(todo) > MOST_PREFIXES or len(whole) > LONGEST_GLOB:
            return None
    if any(map(GLOB.search, bare)):
        return None
    return [each or "/" for each in bare]


def prefixes_of_pattern(pattern: str) -> list[str] | None:
    """`^/api/.*` is `/api`; `^/(api|auth)` is two; a finer pattern is None."""
    text = pattern.replace(r"\/", "/")
    if not text.startswith("^"):
        return None
    body = TAIL.sub("", text[1:], count=1)
    if not body:
        return ["/"]
    parts, position = [], 0
    while position < len(body):
        found = PART.match(body, position)
        if found is None:
            return None
        choices = found["choice"].split("|") if found["choice"] else [found["text"]]
        if not all(LITERAL.fullmatch(each) for each in choices):
            return None
        parts.append([unescape(each) for each in choices])
        position = found.end()
    if prod(map(len, parts)) > MOST_PREFIXES:
        return None
    return ["".join(each) for each in product(*parts)]


def reach_of(pattern: str) -> Reach:
    """What a pattern asks for after its prefix: any text, a slash, or the end."""
    found = TAIL.search(pattern.replace(r"\/", "/"))
    tail = found[0] if found else ""
    if tail.endswith("$") and tail[:-1].endswith(OPEN):
        tail = tail[:-1]
    if tail in ("$", "/$", "/?$", "\\b$"):
        return "exact"
    return "text" if tail in ("", *ANY_TEXT) else "segment"


def is_choosy(pattern: str) -> bool:
    """Does the pattern take one path only, and nothing below it?"""
    return reach_of(pattern) == "exact"


def to_python(pattern: str, flags: str = "") -> str | None:
    """A JavaScript pattern as `re` has it; None where they differ too much."""
    if set(flags) - set("iugd") or "[^]" in pattern or "[]" in pattern:
        return None
    if "g" in flags and not pattern.startswith("^"):
        return None
    text = pattern.replace(r"\/", "/")
    text = NAMED_REFERENCE.sub(r"(?P=\1)", NAMED_GROUP.sub("(?P<", text))
    return f"(?i){text}" if "i" in flags else text


def usable(prefix: str) -> str:
    """The prefix as a route has it; "" where none can be made of it."""
    bare = prefix.rstrip("/") or "/"
    try:
        check_prefix(bare)
    except ValueError:
        return ""
    return bare
