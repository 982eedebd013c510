"""The files of the inspector's page, read from the package for each request."""

from __future__ import annotations

import hashlib
from pathlib import Path

from proxy.http1.grammar import Fields
from proxy.inspector.own_response import OwnResponse
from proxy.web.files import find_file

PAGE = Path(__file__).parent / "page"


def send_asset(answer: OwnResponse, name: str) -> bool:
    """Answer with a file; False: there is no file of that name."""
    found = find_file(PAGE, name)
    if found is None:
        return False
    content_type, path = found
    kind, content = content_type.encode(), path.read_bytes()
    tag = b'"%b"' % hashlib.sha256(content).hexdigest()[:20].encode()
    fields: Fields = [(b"Cache-Control", b"no-cache"), (b"ETag", tag)]
    if answer.head.get(b"if-none-match") == tag:
        answer.whole(304, kind, b"", fields)
    else:
        answer.whole(200, kind, content, fields)
    return True
