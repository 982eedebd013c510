"""Query parameters, read strictly: a bad value is refused with its name.

Unknown parameters are left alone, since clients add their own against caches.
"""

from __future__ import annotations

import math

from aiohttp import web

from upstream_demo.error_response import Refusal


def whole_number(
    request: web.Request, name: str, *, default: int, least: int, most: int
) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    value = parse_whole_number(text)
    if value is None or not least <= value <= most:
        raise bad_value(name, text, f"an integer from {least} to {most}")
    return value


def parse_whole_number(text: str) -> int | None:
    """Digits only: `int` also takes `1_0`, `+1` and digits of other scripts."""
    # The length keeps int() away from numbers that it refuses to read at all.
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    return None


def seconds(request: web.Request, name: str, *, default: float, most: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise bad_value(name, text, f"seconds from 0 to {most:g}")
    return value


def choice(
    request: web.Request, name: str, choices: tuple[str, ...], *, default: str
) -> str:
    text = request.query.get(name, default)
    if text != default and text not in choices:
        raise bad_value(name, text, f"one of {', '.join(choices)}")
    return text


def flag(request: web.Request, name: str) -> bool:
    return choice(request, name, ("true", "false"), default="false") == "true"


def bad_value(name: str, text: str, wanted: str) -> Refusal:
    return Refusal(400, f"{name} is {text[:80]!r}: it must be {wanted}", param=name)
