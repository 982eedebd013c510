"""Paths in a configuration: prefixes of routes, paths with the key of a stream.

Both are matched against the path of a request as it was sent, byte for byte.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from proxy.config.fault_text import quoted
from proxy.config.lookalikes import first, in_ascii, named
from proxy.config.route_hosts import check_host, names_host, route_place

# RFC 3986 §3.3: what a path holds.
PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|%[0-9A-Fa-f]{2})+")
ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
UNRESERVED = re.compile(rb"[A-Za-z0-9._~-]")
# What no path has, or only one that is meant as a pattern.
PATTERN = re.compile(r"\*|\\[/.dws]|\^|\[|\{|\||\(\?")
# What a path may have, and hardly does.
MAYBE = re.compile(r"/:[A-Za-z_]\w*|\.\+|\$$")
KEY = "{key}"
OWN = "/_unbuffered"


def check_route(name: str) -> None:
    """The name of a route's table: a prefix, perhaps with a host before it.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    plain = in_ascii(name).strip()
    if plain != name:
        at = first(name)
        what = "a space" if at is None else named(name[at])
        better = without_pattern(plain) if plain.startswith("/") else plain
        raise ValueError(f"a prefix cannot contain {what}: write {quoted(better)}")
    if not names_host(name):
        check_prefix(name)
        return
    check_host(name)
    host, path = route_place(name)
    check_prefix(path, host)


def check_prefix(prefix: str, host: str = "") -> None:
    """The prefix of a route; `host` stands before it.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    pattern = without_pattern(prefix)
    if not prefix.startswith("/"):
        raise ValueError(
            'expected a path that begins with "/", not a pattern: write '
            f"{quoted(pattern)}"
        )
    if PATTERN.search(prefix):
        raise ValueError(
            "a prefix cannot contain wildcards or patterns: it already matches every "
            + (
                "path below it: write one route for each path"
                if "|" in prefix or (pattern == "/" and prefix.strip("/*"))
                else f"path below it: write {quoted(host + pattern)}"
            )
        )
    if prefix != "/" and prefix.endswith("/"):
        better = quoted(host + (prefix.rstrip("/") or "/"))
        raise ValueError(f'a prefix must not end with "/": write {better}')
    check_as_sent(prefix, "a prefix", host=host)


def without_pattern(text: str) -> str:
    """The plain path that a pattern begins with: `/api` of `/^\\/api\\/.*/`."""
    bare = re.sub(r"^~\*?\s*|^\w+://[^/]*", "", text).replace("\\/", "/")
    bare = re.sub(r"^(?:/?\^)?(?:\(\?i\))?/*", "/", bare)
    found = PATTERN.search(bare) or MAYBE.search(bare)
    if found is not None:
        end = bare.rfind("/", 0, found.start() + 1) + 1
        bare = bare[: found.start() if found[0] == "$" else end]
    return bare.rstrip("/") or "/"


def like_a_pattern(prefix: str) -> str:
    """The part of a prefix that may be meant as a pattern, and is not one here."""
    found = MAYBE.search(prefix)
    return "" if found is None else found[0].lstrip("/")


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


def check_as_sent(
    path: str, what: str, placeholder: str = "", key: str = "", host: str = ""
) -> None:
    """A path as a client sends it, once a key stands in it; `host` is before it.

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
        better = host + quote(STRAY_PERCENT.sub("%25", path), safe=safe)
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


def normal_route(name: str) -> str:
    """The same of a route's host and prefix: case does not count in a host."""
    host, path = route_place(name)
    return host.lower() + normal_path(path)
