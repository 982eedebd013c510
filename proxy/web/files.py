"""The files of a page: which ones are served, and with which type.

This folder has the files that the pages of the inspector and of the demo share.
Each page serves it as `web/` beside its own files.
"""

from __future__ import annotations

import re
from pathlib import Path

SHARED = Path(__file__).parent
NAME = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"  # no slash, no dot first
PATH = re.compile(f"(?:(?P<folder>{NAME})/)?(?P<file>{NAME})")
# Fixed here, since the types that a system registers differ: some call a module
# text/plain, and no browser runs it then.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".woff2": "font/woff2",
}


def find_file(page: Path, name: str) -> tuple[str, Path] | None:
    """Type and path of a file in `page`, in one of its folders, or in `web/`.

    None: no such file. A name cannot lead out of these folders.
    """
    match = PATH.fullmatch(name)
    if match is None:
        return None
    path = SHARED / match["file"] if match["folder"] == "web" else page / name
    content_type = TYPES.get(path.suffix)
    if content_type is None or not path.is_file():
        return None
    return content_type, path
