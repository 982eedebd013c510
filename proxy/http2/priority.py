"""How urgent a response is to its client (RFC 9218).

From the field `priority` of a request, and from PRIORITY_UPDATE frames. What is not
understood is ignored, as §4 wants it: the value is a hint.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Of a dictionary of RFC 8941, the one syntax that both have.
KEY = rb"[a-z*][a-z0-9_\-.*]*+"
STRING = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+"'
WORD = rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+"
ITEM = (
    rb"(?:-?\d{1,15}+(?:\.\d{1,3}+)?+|" + STRING + rb"|" + WORD + rb"|"
    rb":[A-Za-z0-9+/=]*+:|\?[01])"
)
PARAMETERS = rb"(?:; *+" + KEY + rb"(?:=" + ITEM + rb")?+)*+"
LIST = rb"\( *+(?:" + ITEM + PARAMETERS + rb"(?: ++|(?=\))))*+\)"
VALUE = rb"(?:" + ITEM + rb"|" + LIST + rb")"
MEMBER = rb"(" + KEY + rb")(?:=(" + VALUE + rb"))?+" + PARAMETERS
EACH_MEMBER = re.compile(MEMBER + rb"(?:[ \t]*+,[ \t]*+(?=[a-z*])|\Z)")
MAX_VALUE = 256  # bytes; real values have five


class Priority(NamedTuple):
    """`urgency`: 0 is served first, 7 last. `incremental`: parts of it are useful."""

    urgency: int = 3
    incremental: bool = False


DEFAULT = Priority()


def parse_priority(value: bytes | None) -> Priority:
    """Read a field value; None, or what is malformed, is the default."""
    if not value or len(value) > MAX_VALUE:
        return DEFAULT
    return parsed(value)


@lru_cache(maxsize=64)
def parsed(value: bytes) -> Priority:
    """The members that we know of a whole dictionary; the last of a name counts."""
    value = value.strip(b" ")
    urgency, incremental = DEFAULT
    start = 0
    while start < len(value):
        member = EACH_MEMBER.match(value, start)
        if member is None:
            return DEFAULT
        start = member.end()
        key, item = member.group(1), member.group(2)
        if key == b"u":
            known = item is not None and len(item) == 1 and b"0" <= item <= b"7"
            urgency = int(item) if known else DEFAULT.urgency
        elif key == b"i":
            incremental = item is None or item == b"?1"
    return Priority(urgency, incremental)
