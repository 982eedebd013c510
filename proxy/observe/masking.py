"""What is never shown: the values of fields, and of a query, that are credentials.

Pure. The names stay, so that a person sees that a key was sent, and where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "****"
SECRET_FIELDS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "authentication-info",
        "proxy-authentication-info",
        "x-csrf-token",
        "x-xsrf-token",
        "x-amz-security-token",
    }
)
# Api-Key, X-Goog-Api-Key, X-Auth-Token, Private-Token, X-Client-Secret …
SECRET_PART = re.compile(
    r"(?:^|[-_.])(?:api-?_?key|apikey|auth|token|secret|password|passwd|session(?:id)?"
    r"|signature|credentials?|jwt)(?:$|[-_.])",
    re.IGNORECASE,
)
# In a query a name may stand alone: ?key=…, &sig=…, &access_token=…
SECRET_PARAMETER = re.compile(
    r"(?<=[?&;])([^=&;#]*?(?:key|token|secret|passw(?:or)?d|auth|session|sig(?:nature)?"
    r"|code|credentials?|jwt))=([^&;#]*)",
    re.IGNORECASE,
)
HAS_TARGET = frozenset({"location", "content-location", "referer", "link", "refresh"})
# A scheme says what kind of credential it was: Bearer ****, Basic ****.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9-]*) +\S")


def masked_fields(fields: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """Fields as text, in order, without credentials."""
    return [
        [name, masked(name, value.decode("latin-1"))]
        for name, value in ((raw.decode("latin-1"), value) for raw, value in fields)
    ]


def masked(name: str, value: str) -> str:
    """The value of one field as it may be shown."""
    key = name.lower()
    if key in ("cookie", "set-cookie"):
        return masked_cookies(value, all_of_them=key == "cookie")
    if key in SECRET_FIELDS or SECRET_PART.search(key):
        scheme = SCHEME.match(value)
        return f"{scheme[1]} {MASK}" if scheme and "auth" in key else MASK
    return (
        masked_target(value) if key in HAS_TARGET or key == "x-original-url" else value
    )


def masked_cookies(value: str, *, all_of_them: bool) -> str:
    """Names and attributes stay. Of Set-Cookie only the first pair is a cookie."""
    pairs = value.split(";")
    count = len(pairs) if all_of_them else 1
    shown = [
        f"{pair.partition('=')[0]}={MASK}" if "=" in pair else MASK
        for pair in pairs[:count]
    ]
    return ";".join([*shown, *pairs[count:]])


def masked_target(target: str) -> str:
    """A path or an address; parameters that look like credentials lose their values."""
    if "?" not in target:
        return target
    return SECRET_PARAMETER.sub(rf"\1={MASK}", target)
