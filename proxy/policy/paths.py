"""Path safety: does a path stay below the prefix that it matched?

Nothing is decoded or merged on the way to the upstream. But an upstream may
read `%2e%2e`, `..\\`, `..;x` or `%2f..` as a dot segment, and a path that left
its prefix there would reach what the route was not meant to open. So a path
is judged under each of these readings, and refused if it leaves in any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

# Paths without any of these cannot contain a dot segment under any reading.
SUSPECT = re.compile(rb"\.\.|%2e|%25", re.IGNORECASE)
SEPARATORS = re.compile(rb"[/\\]")


def leaves_prefix(rest: bytes) -> bool:
    """Would `rest`, the raw path after its matched prefix, go above it?"""
    if SUSPECT.search(rest) is None:
        return False
    decoded = fully_decoded(rest)
    return (
        # separators as they are, each segment decoded
        goes_above(fully_decoded(segment) for segment in rest.split(b"/"))
        # a backslash separates too
        or goes_above(fully_decoded(segment) for segment in SEPARATORS.split(rest))
        # so does what was encoded
        or goes_above(SEPARATORS.split(decoded))
    )


def fully_decoded(data: bytes) -> bytes:
    """Percent-decoded until nothing changes: some upstreams decode twice."""
    while (once := unquote_to_bytes(data)) != data:
        data = once
    return data


def goes_above(segments: Iterable[bytes]) -> bool:
    """Is there a point at which more levels were left than entered?

    Empty segments count as no level, since some upstreams merge slashes; a
    segment's parameters (RFC 3986 §3.3) do not hide it.
    """
    depth = 0
    for segment in segments:
        name = segment.partition(b";")[0]
        if name == b"..":
            depth -= 1
            if depth < 0:
                return True
        elif name not in (b"", b"."):
            depth += 1
    return False
