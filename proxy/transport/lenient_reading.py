"""Responses that only lenient reading takes: by whom they are read, what is told.

How they are read is in `http1.lenient`, which only routes with
`upstream_parsing = "lenient"` load.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Protocol

from proxy.http1.framing import Body
from proxy.http1.grammar import END_OF_HEAD

WOULD_BE_TAKEN = 'upstream_parsing = "lenient" accepts it'
MAY_BE_TAKEN = 'upstream_parsing = "lenient" may accept it'
NO_CLOSE_NOTIFY = (
    "the upstream closed early: there was no TLS close_notify, so the body may have "
    f"been truncated by anyone on the network; {WOULD_BE_TAKEN}"
)
# What `http1.lenient` takes of a head.
OLD = re.compile(rb"\AICY |(?<!\r)\n|\n[^\s:]++[ \t]++:")


class Reading(Protocol):
    """How responses are read that are not in strict form; see `http1.lenient`."""

    def head(self, data: bytes | bytearray, seen: int) -> tuple[bytes, int] | None:
        """A head in strict form and how many bytes it had; None: it is not all here."""

    def may_begin(self, data: bytes | bytearray) -> bool:
        """Can it become a head?"""

    def body(self, body: Body) -> Body:
        """The reader of a body, in place of the strict one."""


def is_of_old_servers(data: bytes | bytearray) -> bool:
    """Is a head refused for what only strict reading refuses?"""
    stop = data.find(END_OF_HEAD)
    return OLD.search(data, 0, stop + 2 if stop >= 0 else len(data)) is not None


def is_whole(transport: asyncio.Transport) -> bool:
    """Is the end that was met the end that the peer meant?

    Under TLS a bare FIN may be anybody's; the peer's own word is close_notify
    (RFC 9112 §9.8). asyncio tells of both alike, OpenSSL does not.
    """
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return tls.read(1) == b""
    except ssl.SSLError:
        return False
