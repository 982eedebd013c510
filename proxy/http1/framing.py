"""Where a body ends: the message-length rules of RFC 9112 §6, both directions.

Decides from a head which reader its body needs. Anything two recipients
could read in two ways is refused, never resolved: that is request smuggling.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypeAlias

from proxy.errors import (
    MalformedRequest,
    MalformedResponse,
    ProxyError,
    TransferCodingNotSupported,
)
from proxy.http1.chunked import CHUNKS_AT_ONCE, PARAMETER, ChunkedBody
from proxy.http1.grammar import TOKEN, Fields, shown
from proxy.http1.head import NOT_READ, Head, RequestHead, ResponseHead

LENGTH = re.compile(rb"\d{1,18}")  # below 2^63; no sign, no space, no hex
# A list of transfer codings, each with its parameters (RFC 9112 §7).
CODING = b"(" + TOKEN + b"++)((?:" + PARAMETER + b")*+)"
CODINGS = re.compile(CODING + rb"(?:[ \t]*+,[ \t]*+" + CODING + b")*+")
EACH_CODING = re.compile(CODING)


class LengthBody:
    """A body of `length` bytes (Content-Length); 0 is a message without one."""

    __slots__ = ("complete", "error", "excess", "remaining")
    trailers: ClassVar[Fields] = []

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = length == 0
        self.error: str | None = None
        self.excess = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the wire, return the payload among them."""
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data
        if size > self.remaining:
            self.excess = data[self.remaining :]
            data = data[: self.remaining]
        self.remaining = 0
        self.complete = True
        return data

    def end(self) -> str | None:
        """The sender closed: say what is missing, None if nothing is."""
        if self.complete:
            return None
        return f"{self.remaining} bytes of Content-Length are missing"


class UntilCloseBody:
    """A response that ends when its connection does (RFC 9112 §6.3 rule 8)."""

    __slots__ = ("complete",)
    error: str | None = None
    excess = b""
    trailers: ClassVar[Fields] = []

    def __init__(self) -> None:
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """All bytes are payload."""
        return data

    def end(self) -> str | None:
        """The close is the end."""
        self.complete = True
        return None


Body: TypeAlias = LengthBody | ChunkedBody | UntilCloseBody


def content_length(value: bytes) -> int:
    """Read a Content-Length, a list of equal ones included (RFC 9110 §8.6).

    Raises:
        ValueError: not a plain decimal number, or numbers that differ.
    """
    if LENGTH.fullmatch(value) is not None:
        return int(value)
    members = {member.strip(b" \t") for member in value.split(b",")}
    (member,) = members if len(members) == 1 else (b"",)
    if LENGTH.fullmatch(member) is None:
        raise ValueError(f"invalid Content-Length {shown(value)}")
    return int(member)


def request_body(head: RequestHead) -> Body:
    """The reader for a request's body (RFC 9112 §6.3).

    Raises:
        MalformedRequest: the framing is ambiguous or invalid.
        TransferCodingNotSupported: a coding besides chunked.
    """
    index = head.index
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        check_transfer_coding(head, coding, MalformedRequest)
        return ChunkedBody()
    length = index.get(b"content-length")
    if length is None:
        return LengthBody(0)
    try:
        return LengthBody(content_length(length))
    except ValueError as fault:
        raise MalformedRequest(str(fault)) from None


def check_begun(body: Body, data: bytes | bytearray) -> None:
    """Judge what is already here of a body, before anybody hears of the request.

    Raises:
        MalformedRequest: the chunked coding is broken within `data`.
    """
    if data and isinstance(body, ChunkedBody):
        begun = ChunkedBody()
        begun.feed(bytes(data), CHUNKS_AT_ONCE)
        if begun.error is not None:
            raise MalformedRequest(f"malformed request body: {begun.error}")


def response_body(head: ResponseHead, method: bytes) -> Body:
    """The reader for a response's body, given the request's method.

    Raises:
        MalformedResponse: the framing is ambiguous or invalid.
    """
    status, index = head.status, head.index
    coding = index.get(b"transfer-encoding")
    length = index.get(b"content-length")
    if coding is not None and status >= 200 and status != 204:
        check_transfer_coding(head, coding, MalformedResponse)
    if length is not None and head.length == NOT_READ:
        try:
            head.length = content_length(length)
        except ValueError as fault:
            raise MalformedResponse(str(fault)) from None
    if method == b"HEAD" or status < 200 or status in (204, 304):
        return LengthBody(0)
    if coding is not None:
        return ChunkedBody()
    return UntilCloseBody() if length is None else LengthBody(head.length)


def check_transfer_coding(head: Head, coding: bytes, fault: type[ProxyError]) -> None:
    """Accept exactly `chunked`, alone, in an HTTP/1.1 message."""
    if head.get(b"content-length") is not None:
        raise fault("both Transfer-Encoding and Content-Length (RFC 9112 §6.1)")
    if head.minor == 0:
        raise fault("Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1)")
    if coding.lower() == b"chunked":
        return
    if fault is MalformedRequest and is_unknown(coding):
        raise TransferCodingNotSupported(
            f"unknown Transfer-Encoding {shown(coding)}: only chunked is supported "
            "(RFC 9112 §6.1)"
        )
    raise fault(f"invalid Transfer-Encoding {shown(coding)}")


def is_unknown(coding: bytes) -> bool:
    """Is it well-formed, but for a recipient that knows more codings than chunked?

    Chunked has no parameters, is applied once, and is the last (RFC 9112 §6.1).
    """
    if CODINGS.fullmatch(coding) is None:
        return False
    codings: list[tuple[bytes, bytes]] = EACH_CODING.findall(coding)
    others, (last, parameters) = codings[:-1], codings[-1]
    if any(name.lower() == b"chunked" for name, _ in others):
        return False
    return last.lower() != b"chunked" or not parameters
