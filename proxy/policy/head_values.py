"""Single values in a head: of repeated fields, query parameters and cookies.

What a name stands for, and which of several values counts, is not known here. Pure.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from proxy.http1.grammar import LOWER_NAMES
from proxy.http1.head import Head


def field_values(head: Head, name: bytes) -> list[bytes]:
    """The values of a field, as often as it was sent; `name` in lower case."""
    if name not in head.index:
        return []
    return [value for other, value in head.fields if LOWER_NAMES[other] == name]


def query_values(target: bytes, name: bytes) -> list[bytes]:
    """The values of a query parameter, decoded as any server would.

    WHATWG URL §5.1: the names are encoded, too, and `+` is a space.
    """
    query = target.partition(b"?")[2]
    if name not in query and b"%" not in query and b"+" not in query:
        return []
    pairs = (each.partition(b"=") for each in query.split(b"&"))
    return [form_decoded(value) for key, _, value in pairs if form_decoded(key) == name]


def form_decoded(text: bytes) -> bytes:
    """A name or a value of application/x-www-form-urlencoded."""
    return unquote_to_bytes(text.replace(b"+", b" "))


def cookie_values(head: Head, name: bytes) -> list[bytes]:
    """The values of a cookie, as they came (RFC 6265 §4.2); case counts in its name.

    Of the same name there may be several, for different paths. Quotes are part of a
    value, and do not protect a semicolon.
    """
    found = []
    for line in field_values(head, b"cookie"):
        for pair in line.split(b";"):
            key, equals, value = pair.partition(b"=")
            if equals and key.strip(b" \t") == name:
                found.append(value.strip(b" \t"))
    return found
