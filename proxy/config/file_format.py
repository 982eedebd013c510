"""A file that is not meant to be TOML at all: another encoding, another format."""

from __future__ import annotations

import codecs
import json
import re

# Files by which people mean something else.
ROUTE_LINES = 'write [routes."/sse"] and, below it, target = "http://localhost:8002"'
MOST_SEEN = 1000  # characters of a line
IMPORT = "unbuffered import FILE converts the one of a dev server or nginx"
JAVASCRIPT = re.compile(
    r"(?:'use strict'|\"use strict\"|import\s+\w|import\s*[{*]|export\s+default\b"
    r"|module\.exports|(?:const|let|var)\s+\w|//)"
)
TOML_LINE = re.compile(r"\s*(?:\[|[\w\"'.-]+\s*=)")
UTF = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# nginx and Caddy
BLOCK = re.compile(r"(?:[\w@~^*./\"'=-]+\s+)*[\w@~^*./:\"'=$-]+\s*\{\s*(?:#.*)?$")
DIRECTIVE = re.compile(r"([a-z_]++)\s++[^=;]*+;\s*+(?:#.*)?$")
YAML_KEY = re.compile(r"\s*(?:-\s+)?(?P<key>\"[^\"]*\"|'[^']*'|[\w./-]+)\s*:(?=\s|$)")


def encoding_fault(content: bytes) -> str:
    """Why the bytes of a file are not text in UTF-8; "" if they are."""
    for mark, name in UTF:
        if content.startswith(mark):
            return f"the file is in {name}: save it in UTF-8"
    head = content[:64]
    if len(head) > 3 and b"\0" in head and (not any(head[::2]) or not any(head[1::2])):
        return "the file is in UTF-16: save it in UTF-8"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f"line {line}: not valid UTF-8: save the file in UTF-8"
    return ""


def other_format(text: str) -> str:
    """What a file is that is not meant to be TOML; "": it is."""
    start, line = first_line(text)
    if start is None:
        return ""
    start = start[:MOST_SEEN]
    if start.startswith("{") or (start.startswith("[") and is_json(text)):
        return f"line {line}: this is JSON, not TOML: {ROUTE_LINES} ({IMPORT})"
    if start.startswith("<"):
        return f"line {line}: this is XML or HTML, not TOML: {ROUTE_LINES}"
    if JAVASCRIPT.match(start):
        return f"line {line}: this is JavaScript, not TOML: {ROUTE_LINES} ({IMPORT})"
    if BLOCK.match(start) or DIRECTIVE.match(start):
        return (
            f"line {line}: this is a configuration of nginx or Caddy, not TOML: "
            f"{ROUTE_LINES} ({IMPORT})"
        )
    if start.startswith("---") or (YAML_KEY.match(start) and not has_toml(text)):
        return f"line {line}: this is YAML, not TOML: {ROUTE_LINES}"
    return ""


def first_line(text: str) -> tuple[str | None, int]:
    """The first line that is not a comment of TOML, and its number."""
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            return bare, number
    return None, 0


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def has_toml(text: str) -> bool:
    return any(TOML_LINE.match(line[:MOST_SEEN]) for line in text.split("\n"))
