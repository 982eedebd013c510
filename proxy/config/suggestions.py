"""Which known name somebody may have meant who wrote another one.

A suggestion is followed without a second thought, so a wrong one does harm: a name
that only looks alike (`max_duration_seconds` for `heartbeat_seconds`) cuts streams.
Each word that was written has to be in the suggestion, but for its spelling and for
words that only give a unit. Pure text; knows no key and no table.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# Words that say how a thing is measured, never which thing it is.
TIME = frozenset(
    ("seconds", "second", "secs", "sec", "ms", "millis", "milliseconds", "minutes",
     "hours", "timeout", "interval", "time", "period")
)  # fmt: skip
SIZE = frozenset(("bytes", "byte", "kb", "mb", "kib", "mib", "size", "length"))
SHAPE = frozenset(
    (*TIME, *SIZE, "max", "maximum", "limit", "per", "by", "the", "of", "number",
     "count")
)  # fmt: skip
# With one of these a key says the opposite of the one without it.
NEGATIONS = frozenset(
    ("no", "not", "non", "dont", "disable", "disabled", "disallow", "deny", "skip",
     "without", "ignore", "insecure", "off", "never", "unsafe")
)  # fmt: skip
SYNONYMS = {"uri": "url", "crt": "certificate", "addr": "host"}
SUFFIX = re.compile(r"(?<=\w{3})(?:ies|y|ations?|ions?|ings?|ers?|ors?|es|ed|s|e)$")
DOUBLED = re.compile(r"([a-z])\1$")  # log, logging
DIGITS = re.compile(r"\d+")
WORD = re.compile(r"[a-z]+\d*|\d+")
SAME_START = 4  # letters; a shorter beginning says nothing
LONG = 8  # letters of a word in which two may be wrong


def near(name: str, known: Collection[str]) -> list[str]:
    """The known names that `name` may stand for: one, or a few that fit as well.

    Names are in snake case.
    """
    words = [SYNONYMS.get(word, word) for word in WORD.findall(name)]
    found: dict[int, list[str]] = {}
    for candidate in known:
        more = distance(words, candidate)
        if more is not None:
            found.setdefault(more, []).append(candidate)
    return sorted(found[min(found)])[:3] if found else []


def distance(words: list[str], candidate: str) -> int | None:
    """How many more words a candidate has; None: it is another thing."""
    theirs = WORD.findall(candidate)
    if not kind_of(words) & kind_of(theirs):
        return None
    if bool(NEGATIONS & {*words}) != bool(NEGATIONS & {*theirs}):
        return None
    meant, said = significant(theirs), significant(words)
    if not said:
        return None
    if "".join(said) == "".join(meant):
        return 0
    for word in said:
        twin = next((each for each in meant if similar(word, each)), None)
        if twin is None:
            return None
        meant.remove(twin)
    return len(meant) if len(meant) <= 1 else None


def significant(words: list[str]) -> list[str]:
    """The words that say which thing it is."""
    return [word for word in words if word not in SHAPE]


def kind_of(words: list[str]) -> set[str]:
    """What is measured: times and sizes are never mixed up; without a unit, any."""
    units = {"time"} if TIME & {*words} else set()
    units |= {"size"} if SIZE & {*words} else set()
    return units or {"time", "size"}


def negated(name: str) -> bool:
    """Does a name say that something is not done?"""
    return bool(NEGATIONS & {*WORD.findall(name)})


def without_negation(name: str) -> str:
    """The name of what is not done: `http2` of `disable_http2`."""
    return "_".join(word for word in name.split("_") if word not in NEGATIONS)


def similar(one: str, other: str) -> bool:
    """Are two words one, but for an ending or a slip of the fingers?"""
    if DIGITS.findall(one) != DIGITS.findall(other):
        return False
    first, second = stem(one), stem(other)
    if first == second:
        return True
    short, long = sorted((first, second), key=len)
    if len(short) >= SAME_START and long.startswith(short):
        return True
    shorter = min(len(one), len(other))
    if one[0] != other[0] or shorter < SAME_START - 1:
        return False
    if shorter < SAME_START:  # one letter left out or doubled, none replaced
        return (
            len(one) != len(other) and one[-1] == other[-1] and edits(one, other) == 1
        )
    return edits(one, other) <= (2 if shorter >= LONG else 1)


def stem(word: str) -> str:
    """A word without its ending: trace, traces and tracing are one."""
    return DOUBLED.sub(r"\1", SUFFIX.sub("", word))


def edits(one: str, other: str) -> int:
    """Letters to add, remove, replace or swap (optimal string alignment)."""
    before: list[int] = []
    row: list[int] = [*range(len(other) + 1)]
    for i, letter in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, there in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != there))
            swapped = i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], there)
            row.append(min(cost, last[j - 2] + 1) if swapped else cost)
    return row[-1]
