"""Path safety: does a path stay below the prefix that it matched?

Nothing is decoded or merged on the way to the upstream. But an upstream may
read `%2e%2e`, `..\\`, `..;x` or `%2f..` as a dot segment, and a path that left
its prefix there would reach what the route was not meant to open. So a path
is judged under each of these readings, and refused if it leaves in any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from proxy.errors import MalformedRequest
from proxy.http1.grammar import shown

# Paths without any of these cannot contain a dot segment under any reading.
# The last two are codes that are encoded themselves: `%252e`, `%%32e`, `%2%65`.
SUSPECT = re.compile(rb"\.\.|%2e|%25|%[0-9a-f]?%", re.IGNORECASE)
# What separates segments besides the slash: on Windows a backslash; and where
# encoded slashes are left alone, perhaps an encoded backslash (Tomcat).
BACKSLASH = re.compile(rb"[/\\]")
ENCODED_BACKSLASH = re.compile(rb"[/\\]|%5c", re.IGNORECASE)
# Once by a server and once more by a framework is what happens. The bound is
# there since `%25252525…` has as many layers as a head has room for.
MAX_DECODED = 4


def check_path(path: bytes, rest: bytes, limit: str) -> None:
    """Refuse a `path` whose `rest` goes above where it begins.

    Raises:
        MalformedRequest: names the path, and the `limit` that it leaves.
    """
    if leaves_prefix(rest):
        raise MalformedRequest(f"dot segments of {shown(path, 200)} leave {limit}")


def leaves_prefix(rest: bytes) -> bool:
    """Would `rest`, a raw path without query, go above where it begins?"""
    if SUSPECT.search(rest) is None:
        return False
    return any(
        goes_above(map(fully_decoded, segments))
        for reading in readings(rest)
        for segments in splits(reading)
    )


def splits(path: bytes) -> Iterator[list[bytes]]:
    """The segments of a path, for each notion of what separates them."""
    yield path.split(b"/")
    if b"\\" in path:
        yield BACKSLASH.split(path)
    if b"%5c" in path or b"%5C" in path:
        yield ENCODED_BACKSLASH.split(path)


def readings(path: bytes) -> Iterator[bytes]:
    """A path as it came, decoded once, decoded twice …

    Each counts by itself: `/a%252fb%2f..%2f..` leaves only if decoded once.
    """
    yield path
    for _ in range(MAX_DECODED):
        decoded = unquote_to_bytes(path)
        if decoded == path:
            return
        path = decoded
        yield path


def fully_decoded(segment: bytes) -> bytes:
    """The last reading of one segment."""
    if b"%" not in segment:
        return segment
    *_, last = readings(segment)
    return last


def goes_above(segments: Iterable[bytes]) -> bool:
    """Is there a point at which more levels were left than entered?

    Empty segments count as no level, since some upstreams merge slashes.
    Parameters (RFC 3986 §3.3) do not hide a name, nor does a NUL, at which
    some upstreams end the text.
    """
    depth = 0
    for segment in segments:
        name = segment.partition(b";")[0].partition(b"\0")[0]
        if name == b"..":
            depth -= 1
            if depth < 0:
                return True
        elif name not in (b"", b"."):
            depth += 1
    return False
