"""A driver's frame: a line of JSON in (`url`, `call`), a line of JSON out.

The line out has the text that the client got, the error that it reported
("Class: message") or null, and whether the client itself called it complete.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from inspect import isawaitable

Call = Callable[[str, list[str]], bool | Awaitable[bool]]


async def run(call: Call, url: str) -> dict[str, object]:
    """One call; whatever it raises is the error."""
    got: list[str] = []
    error, complete = None, False
    try:
        told = call(url, got)
        complete = await told if isawaitable(told) else told
    except Exception as fault:
        while isinstance(fault, ExceptionGroup):  # that of a task group
            fault = fault.exceptions[0]
        error = f"{type(fault).__name__}: {fault}"
    return {"text": "".join(got), "error": error, "complete": complete}


def serve(calls: dict[str, Call]) -> None:
    """Answer lines until there are no more."""
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints
    print(json.dumps({"ready": sorted(calls)}), file=out, flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        result = asyncio.run(run(calls[wanted["call"]], wanted["url"]))
        print(json.dumps(result), file=out, flush=True)
