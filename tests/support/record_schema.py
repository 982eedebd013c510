"""The JSON Schema of a line of a record, made from the types of the format."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from proxy.record.format import (
    VERSION,
    CompleteLine,
    DroppedLine,
    EndLine,
    FirstLine,
    HeadLine,
    PieceLine,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LINES = (FirstLine, HeadLine, PieceLine, CompleteLine, EndLine, DroppedLine)
# What a line has that no other kind has.
MARKS = ("unbuffered", "head", "complete", "end", "dropped")


def record_schema() -> dict[str, Any]:
    """The schema of one line; the first line of a file is a `FirstLine`."""
    lines, parts = msgspec.json.schema_components(LINES, ref_template="#/$defs/{name}")
    parts["FirstLine"]["properties"]["unbuffered"]["const"] = VERSION
    parts["CompleteLine"]["properties"]["complete"]["const"] = True
    # One of two keys, which no single type can say.
    piece = parts["PieceLine"]
    piece["oneOf"] = [{"required": ["text"]}, {"required": ["base64"]}]
    for part, mark in zip(
        ("FirstLine", "HeadLine", "CompleteLine", "EndLine", "DroppedLine"),
        MARKS,
        strict=True,
    ):
        required = parts[part].setdefault("required", [])
        if mark not in required:
            required.append(mark)
    return {
        "$schema": DIALECT,
        "title": "A line of a record of Unbuffered",
        "description": "A record is a file of such lines, the first one a FirstLine.",
        "oneOf": list(lines),
        "$defs": parts,
    }


def record_schema_file(_: str) -> str:
    """As it is published."""
    return json.dumps(record_schema(), indent=2, ensure_ascii=False) + "\n"
