"""Where a block of Lua ends in a configuration of nginx (OpenResty).

`access_by_lua_block { … }` holds Lua, not directives: its braces, quotes and
comments are those of Lua. Pure; no Lua is understood.
"""

from __future__ import annotations

import re

# A piece of Lua that may hold braces which do not count, or a brace that does.
PIECE = re.compile(
    r"""
    --\[(?P<comment>=*+)\[.*?(?:\](?P=comment)\]|\Z) | --[^\n]*+
  | \[(?P<long>=*+)\[.*?(?:\](?P=long)\]|\Z)
  | "(?:[^"\\\n]|\\.)*+"? | '(?:[^'\\\n]|\\.)*+'?
  | (?P<brace>[{}])
    """,
    re.VERBOSE | re.DOTALL,
)


def is_lua(name: str) -> bool:
    """Is it a directive of Lua: access_by_lua_block, content_by_lua_file …?"""
    return "_by_lua" in name


def end_of_lua(text: str, position: int) -> int:
    """Where the brace stands that ends a block of Lua; -1 if there is none."""
    depth = 0
    for piece in PIECE.finditer(text, position):
        if piece["brace"] == "{":
            depth += 1
        elif piece["brace"] == "}":
            if depth == 0:
                return piece.start()
            depth -= 1
    return -1
