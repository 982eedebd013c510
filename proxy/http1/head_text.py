"""Heads as HTTP/1.1 text (RFC 9112 §2.1)."""

from __future__ import annotations

from proxy.http1.grammar import Fields

CHUNKED = (b"Transfer-Encoding", b"chunked")
FIELD = b": ".join


def head_bytes(start_line: bytes, fields: Fields) -> bytes:
    """A head as it goes on the wire."""
    return b"\r\n".join([start_line, *map(FIELD, fields), b"", b""])
