"""The id of a request, by which all logs on its way speak of the same one.

A proxy in front may have given one; anybody else's is replaced, since an id is trusted
by whoever reads a log.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from proxy.http1.head import RequestHead, ResponseHead

NAME = b"X-Request-Id"
KEY = b"x-request-id"
PREFIX_BYTES = 6  # random: two processes have the same once in 2**48
# Of several fields no id remains: they are joined by a comma and a space.
VALID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIds:
    """Gives ids: a random prefix of the process, and a number that counts up.

    So one costs no call of the system, and none comes twice.
    """

    __slots__ = ("count", "prefix")

    def __init__(self, prefix: bytes = b"") -> None:
        self.prefix = prefix or os.urandom(PREFIX_BYTES).hex().encode("ascii")
        self.count = 0

    def new(self) -> bytes:
        """One that nobody has."""
        self.count += 1
        return b"%b-%x" % (self.prefix, self.count)

    def of(
        self, head: RequestHead, address: bytes, trusts: Callable[[bytes], bool]
    ) -> bytes:
        """That of a request: the client's, if its address is one to trust."""
        if KEY in head.index and trusts(address):
            return given(head) or self.new()
        self.count += 1
        return b"%b-%x" % (self.prefix, self.count)


def with_id(head: ResponseHead, request_id: bytes) -> ResponseHead:
    """The head of a response with the id of its request, in place of any other."""
    fields = [each for each in head.fields if each[0].lower() != KEY]
    fields.append((NAME, request_id))
    return ResponseHead(head.status, head.reason, head.minor, fields)


def given(head: RequestHead) -> bytes:
    """The id that a request has come with; nothing if that is not one valid id."""
    value = head.index.get(KEY, b"")
    return value if VALID.fullmatch(value) is not None else b""
