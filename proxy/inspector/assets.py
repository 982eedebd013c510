"""The files of the page, read from the package as they are asked for."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from proxy import observe
from proxy.http1.grammar import Fields
from proxy.inspector.answering import Answer

FOLDER = Path(observe.__path__[0]) / "page"
NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")  # no slash, no dot first
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".json": b"application/json",
    ".woff2": b"font/woff2",
}


def asset(name: str) -> tuple[bytes, bytes] | None:
    """Type and content of a file of the page; None: there is none."""
    path = FOLDER / name
    kind = TYPES.get(path.suffix)
    if kind is None or NAME.fullmatch(name) is None:
        return None
    try:
        return kind, path.read_bytes()
    except OSError:
        return None


def send_asset(answer: Answer, name: str) -> bool:
    """Answer with a file; False: there is none of that name."""
    found = asset(name)
    if found is None:
        return False
    kind, content = found
    tag = b'"%b"' % hashlib.sha256(content).hexdigest()[:20].encode()
    fields: Fields = [(b"Cache-Control", b"no-cache"), (b"ETag", tag)]
    if answer.head.get(b"if-none-match") == tag:
        answer.whole(304, kind, b"", fields)
    else:
        answer.whole(200, kind, content, fields)
    return True
