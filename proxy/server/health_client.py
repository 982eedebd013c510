"""Asks a target whether it is well: one request, of whose answer the status is read.

Addresses, TLS and fields are those of requests; a connection is made for each check, so
that it shows that one can be made. Redirects are not followed, bodies not read. What a
target that is broken, or means harm, costs is bounded.
"""

from __future__ import annotations

import asyncio
import re
from typing import cast

from proxy.errors import DescriptorsExhausted, ProxyError
from proxy.http1.grammar import shown
from proxy.http1.head_text import head_bytes
from proxy.policy.health_rule import HealthRule, is_healthy_status
from proxy.transport.upstream import Upstream

CLOSES = (b"Connection", b"close")
MOST_BYTES = 64 * 1024  # of all heads; one that is read at once may be longer
MOST_INTERIM = 32  # 1xx in front of the response, as of requests at once
# Also what servers send that need upstream_parsing = "lenient": of this head nothing
# but the status matters.
STATUS = re.compile(rb"(?:HTTP/1\.\d|ICY) (\d{3})(?: ([^\x00-\x1f\x7f]*+))?\r?\n")
END = re.compile(rb"\r?\n\r?\n")
WITHOUT = "the connection was closed without a response"


class Inconclusive(Exception):
    """A check says nothing about its target: the proxy itself could not ask."""


class Check(asyncio.Protocol):
    """One check. `reason`: why the target is not well; None: it is."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.transport: asyncio.Transport | None = None
        self.data = bytearray()
        self.looked = 0  # up to there it has no end of a head
        self.interim = 0
        self.reason: asyncio.Future[str | None] = (
            asyncio.get_running_loop().create_future()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        if self.reason.done():
            return
        self.data += data
        begin, look = 0, self.looked
        while not self.reason.done() and (end := END.search(self.data, look)):
            self.head(bytes(self.data[begin : end.end()]))
            begin = look = end.end()
        del self.data[:begin]
        self.looked = max(len(self.data) - 3, 0)  # CR LF CR of an end
        if len(self.data) > MOST_BYTES:
            self.found(f"the response has no head within {MOST_BYTES} bytes")

    def head(self, data: bytes) -> None:
        """One head of the answer: of an interim response, or the last."""
        line = STATUS.match(data)
        if line is None:
            first, _, _ = data.partition(b"\n")
            self.found(f"malformed status line {shown(first.rstrip())}")
            return
        status = int(line[1])
        if 100 <= status < 200 and status != 101:
            self.interim += 1
            if self.interim > MOST_INTERIM:
                self.found(f"more than {MOST_INTERIM} responses 1xx")
        elif is_healthy_status(status):
            self.found(None)
        else:
            self.found(f"the response is {status} {in_short(line[2] or b'')}".rstrip())

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self.found(WITHOUT)

    def found(self, reason: str | None) -> None:
        """That is what the check has found; nothing more is read."""
        if not self.reason.done():
            self.reason.set_result(reason)
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self.transport is not None:
            self.transport.abort()


async def ask(upstream: Upstream, rule: HealthRule) -> str | None:
    """Check a target once; why it is not well, None: it is.

    Raises:
        Inconclusive: see there.
    """
    line = f"GET {rule.path} HTTP/1.1".encode()
    request = head_bytes(line, [*rule.fields, CLOSES])
    try:
        async with asyncio.timeout(rule.timeout):
            check = await upstream.connector.connect(lambda: Check(request))
            try:
                return await check.reason
            finally:
                check.close()
    except TimeoutError:
        return f"no response within {rule.timeout:g} s (health_timeout_seconds)"
    except DescriptorsExhausted as fault:
        raise Inconclusive from fault
    except ProxyError as fault:
        return str(fault)


def in_short(reason: bytes) -> str:
    """The words of a status line; a target may send any."""
    text = reason.decode("latin-1")
    plain = text.isascii() and len(text) <= 40
    return text if plain else shown(reason)
