"""Paths in a configuration: prefixes of routes, paths with the key of a stream.

Both are matched against the path of a request as it was sent, byte for byte.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from proxy.config.fault_text import quoted

# RFC 3986 §3.3: what a path holds.
PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|%[0-9A-Fa-f]{2})+")
ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
UNRESERVED = re.compile(rb"[A-Za-z0-9._~-]")
KEY = "{key}"
OWN = "/_unbuffered"


def check_prefix(prefix: str) -> None:
    """The prefix of a route.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if not prefix.startswith("/"):
        better = quoted(re.sub(r"^\^?/*", "/", prefix))
        raise ValueError(
            f'expected a path that begins with "/", not a pattern: write {better}'
        )
    if prefix != "/" and prefix.endswith("/"):
        better = quoted(prefix.rstrip("/") or "/")
        raise ValueError(f'a prefix must not end with "/": write {better}')
    if "*" in prefix:
        raise ValueError(
            "a prefix cannot contain wildcards: it already matches every path below it"
        )
    check_as_sent(prefix, "a prefix")


def check_key_path(path: str) -> None:
    """A path in which the key of a stream stands.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if not path.startswith("/"):
        raise ValueError(f'expected a path that begins with "/", got {quoted(path)}')
    bare = path.replace(KEY, "")
    if "{" in bare or "}" in bare or path.count(KEY) != 1:
        raise ValueError(
            f"expected {KEY} exactly once, and no other placeholder, such as "
            f'"/api/chat/{KEY}/stream", got {quoted(path)}'
        )
    if "*" in path:
        raise ValueError(
            f"a path cannot contain wildcards: {KEY} is all that can differ"
        )
    # Any key will do, but for one that makes a dot segment of its surroundings.
    check_as_sent(path, "a path", KEY, "key")
    if path == OWN or path.startswith(f"{OWN}/"):
        raise ValueError(f"paths below {OWN}/ belong to the proxy itself")


def check_as_sent(path: str, what: str, placeholder: str = "", key: str = "") -> None:
    """A path as a client sends it, once a key stands in it.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    sent = path.replace(placeholder, key) if placeholder else path
    if "?" in sent or "#" in sent:
        raise ValueError(f"{what} cannot contain a query or fragment: remove ? and #")
    if re.search(r"[\x00-\x20\x7f]", sent):
        raise ValueError(f"{what} cannot contain spaces or control characters")
    if PATH.fullmatch(sent) is None:
        safe = f"/%!$&'()+,;=:@~{placeholder}"
        better = quote(STRAY_PERCENT.sub("%25", path), safe=safe)
        raise ValueError(
            f"{what} must be percent-encoded, as it is sent: {quoted(better)}"
        )
    if {".", ".."} & set(normal_path(sent).split("/")):
        raise ValueError(f"{what} cannot contain dot segments: remove /./ and /../")


def normal_path(path: str) -> str:
    """The form in which equal paths are equal text (RFC 3986 §6.2.2)."""

    def normal(found: re.Match[str]) -> str:
        byte = unquote_to_bytes(found[0])
        return byte.decode("ascii") if UNRESERVED.match(byte) else found[0].upper()

    return ENCODED.sub(normal, path)
