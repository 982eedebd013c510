"""Lines that name types of responses, for the type that was seen. Pure.

Those of the table are for event streams. What leaves a type out, or takes it in, has to
name that which is held.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.products.product import Cure

EVENTS = "text/event-stream"
BOTH = "event-stream|ndjson"  # in a pattern
BEGINS = f"-m beg {EVENTS}"  # HAProxy
LISTS = (  # of what is held, or compressed, all the same
    "SecResponseBodyMimeType ",
    "compression type ",
)


def for_type(cure: Cure, type: str) -> Cure:
    """A cure with lines for a type; as it is, for an event stream."""
    if type in ("", EVENTS):
        return cure
    lines = "\n".join(line_for(line, type) for line in cure.lines.splitlines())
    return replace(cure, lines=lines) if lines != cure.lines else cure


def line_for(line: str, type: str) -> str:
    """One of them."""
    if BOTH in line and "ndjson" not in type:
        name = type.replace("/", "\\/") if f"/{BOTH}/" in line else type
        line = line.replace(BOTH, f"{BOTH}|{name}")
    line = line.replace(BEGINS, f"-m beg {type}")
    for start in LISTS:
        if line.startswith(start):
            named = line.removeprefix(start).split()
            line = start + " ".join(each for each in named if each != type)
    return line
