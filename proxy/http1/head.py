"""Message heads: the grammar of RFC 9112 §§2-5 and RFC 9110 §5, strictly.

Reads a complete head into a `RequestHead` or `ResponseHead`; says of an
incomplete one whether it can still become well-formed. Knows nothing of
bodies, routes or sockets.

A proxy that repairs a malformed head hands the next hop a different message
from the one it judged. So nothing is repaired: what the grammar does not allow
is an error, in both directions.
"""

from __future__ import annotations

import re

from proxy.errors import MalformedRequest, MalformedResponse, VersionNotSupported
from proxy.http1.grammar import (
    LOWER_NAMES,
    TOKEN,
    Fields,
    parse_fields,
    shown,
    stray_byte,
)

# The target is any run of visible bytes: what it means is the upstream's
# business, byte for byte. `#` never appears in a request (RFC 9112 §3.2).
REQUEST_LINE = re.compile(
    rb"(" + TOKEN + rb"++) ([\x21\x22\x24-\x7e\x80-\xff]++) HTTP/(\d)\.(\d)\r\n"
)
STATUS_LINE = re.compile(
    rb"HTTP/1\.(\d) ([1-9]\d\d)(?: ([^\x00-\x08\x0a-\x1f\x7f]*+))?\r\n"
)
# HTTP/2 has no text of its own: its messages are those of HTTP/1.1 as its floor and
# all above it know them, and `minor >= 1` is true of them.
HTTP2 = 10
VERSIONS = (*(f"1.{minor}" for minor in range(10)), "2.0")
# A head up to this size is remembered for the next one of its connection, which is
# often the same: parsed, planned and written it takes three times its size, for as
# long as the connection is open.
REMEMBERED_BYTES = 4096
NOT_READ = -1
TLS_HANDSHAKE = b"\x16\x03"  # RFC 8446 §5.1: how every connection by TLS begins


class Head:
    """What both kinds of head share: the fields, in order, as they came."""

    __slots__ = ("fields", "index", "minor")

    def __init__(
        self, minor: int, fields: Fields, index: dict[bytes, bytes] | None = None
    ) -> None:
        self.minor = minor
        self.fields = fields
        # Repeated fields joined as RFC 9110 §5.3 allows, keyed in lower case.
        self.index = index_of(fields) if index is None else index

    @property
    def version(self) -> str:
        """The version of HTTP in which the message came, as in `1.1`."""
        return VERSIONS[self.minor]

    def get(self, name: bytes) -> bytes | None:
        """The combined value of a field; `name` in lower case."""
        return self.index.get(name)

    def members(self, name: bytes) -> list[bytes]:
        """The members of a comma-separated field, in lower case (RFC 9110 §5.6.1)."""
        value = self.index.get(name)
        if value is None:
            return []
        return [
            part for raw in value.split(b",") if (part := raw.strip(b" \t").lower())
        ]


class RequestHead(Head):
    """A request's head. `target` is the raw request-target.

    A client sends the same fields with one request after the other. So a head of
    HTTP/1 knows its bytes, and where its field section begins in them, and shares its
    `fields` with the next: to compare their identity tells whether they are the same.
    Of a client that sends the same head again, it is the same object.
    """

    __slots__ = ("begins", "data", "method", "target")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        minor: int,
        fields: Fields,
        data: bytes = b"",
        begins: int = 0,
        index: dict[bytes, bytes] | None = None,
    ) -> None:
        self.minor = minor  # as `Head`'s, without a call
        self.fields = fields
        self.index = index_of(fields) if index is None else index
        self.method = method
        self.target = target
        self.data = data
        self.begins = begins

    def again(self, method: bytes, target: bytes) -> RequestHead:
        """A head with the same fields."""
        return RequestHead(method, target, self.minor, self.fields, index=self.index)


class ResponseHead(Head):
    """A response's head. `reason` may be empty (RFC 9112 §4).

    It knows its bytes: an upstream that answers the same again gets the same
    object. `length` is what its Content-Length says; NOT_READ: not looked at yet.
    """

    __slots__ = ("data", "length", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: bytes,
        minor: int,
        fields: Fields,
        data: bytes = b"",
    ) -> None:
        super().__init__(minor, fields)
        self.status = status
        self.reason = reason
        self.data = data
        self.length = NOT_READ


def index_of(fields: Fields) -> dict[bytes, bytes]:
    """The combined value of each field, keyed in lower case."""
    index = {LOWER_NAMES[name]: value for name, value in fields}
    if len(index) == len(fields):
        return index
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(LOWER_NAMES[name], []).append(value)
    return {key: b", ".join(each) for key, each in values.items()}


def parse_request_head(data: bytes, before: RequestHead | None = None) -> RequestHead:
    """Read a whole request head, its last empty line included (RFC 9112 §3).

    `before` is the head that the same client sent before it.

    Raises:
        MalformedRequest, VersionNotSupported.
    """
    line = parse_request_line(data)
    method, target, _, digit = line.groups()
    minor, begins = int(digit), line.end()
    section = data[begins:]
    if (
        before is not None
        and minor == before.minor
        and section == before.data[before.begins :]
    ):
        fields = before.fields
        return RequestHead(method, target, minor, fields, data, begins, before.index)
    try:
        fields = parse_fields(section[:-2])
    except ValueError as fault:
        raise MalformedRequest(
            f"malformed request head: {stray_byte(data) or fault}"
        ) from None
    return RequestHead(method, target, minor, fields, data, begins)


def parse_request_line(data: bytes | bytearray) -> re.Match[bytes]:
    """The request line at the start of `data`: method, target, version.

    Raises:
        MalformedRequest, VersionNotSupported.
    """
    line = REQUEST_LINE.match(data)
    if line is None:
        raise MalformedRequest(f"malformed request line: {request_line_fault(data)}")
    if line[3] != b"1":
        major, minor = line.group(3, 4)
        if (major, minor) == (b"2", b"0"):
            raise VersionNotSupported(
                "HTTP/2.0 without TLS is not switched on ([server] http2_cleartext); "
                "use HTTP/1.1"
            )
        raise VersionNotSupported(
            f"HTTP/{major.decode()}.{minor.decode()} is not supported; use HTTP/1.1"
        )
    return line


def check_incomplete_request(data: bytes | bytearray, seen: int) -> None:
    """Refuse at once what cannot become a request head.

    The first `seen` bytes have been looked at before: a head that comes byte
    by byte is looked at once, not once per byte.

    Raises:
        MalformedRequest, VersionNotSupported.
    """
    if data.startswith(TLS_HANDSHAKE):
        raise MalformedRequest("TLS on the plain HTTP port: use http:// in the URL")
    # The line first, as in a whole head: the verdict is the same at any cut.
    end_of_line = data.find(b"\r\n")
    if end_of_line >= 0 and end_of_line + 2 > seen:
        parse_request_line(data)
    # A CR that was the last byte is judged by the one that follows it now.
    fault = stray_byte(data, max(seen - 1, 0))
    if fault is not None:
        raise MalformedRequest(f"malformed request head: {fault}")


def request_line_fault(data: bytes | bytearray) -> str:
    """Say what is wrong with a request line."""
    stray = stray_byte(data)
    if stray is not None:
        return stray
    line, _, _ = data.partition(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or not all(parts):
        return f"expected method, target and version: {shown(line)}"
    method, target, version = parts
    if not re.fullmatch(TOKEN + rb"+", method):
        return f"invalid method {shown(method)}"
    if b"#" in target:
        return "a fragment (#) is not allowed in a request target"
    if b"\t" in target:
        return f"a tab in the request target {shown(target)}"
    return f"invalid version {shown(version)}"


def parse_response_head(data: bytes) -> ResponseHead:
    """Read a whole response head, its last empty line included (RFC 9112 §4).

    Raises:
        MalformedResponse: says what is wrong.
    """
    line = STATUS_LINE.match(data)
    if line is None:
        first, _, _ = data.partition(b"\r\n")
        raise MalformedResponse(f"malformed status line {shown(first)}")
    minor, status, reason = line.groups()
    try:
        fields = parse_fields(data[line.end() : -2])
    except ValueError as fault:
        raise MalformedResponse(
            f"malformed response head: {stray_byte(data) or fault}"
        ) from None
    return ResponseHead(int(status), reason or b"", int(minor), fields, data)
