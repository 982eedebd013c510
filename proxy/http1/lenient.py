"""What old servers send, put into the form that the strict readers take.

For routes with `upstream_parsing = "lenient"`; nothing else imports it. Taken are
a bare LF for CRLF, space before a field's colon (RFC 9112 §5.1), padded chunk
sizes, and SHOUTcast's `ICY 200 OK`. Nothing is judged here: what comes out is
read strictly, and framed anew towards the client. Every byte is looked at once,
and the result does not depend on how the bytes were cut.
"""

from __future__ import annotations

import re
import sys

from proxy.http1.chunked import MAX_CHUNK_LINE, MAX_TRAILERS, ChunkedBody
from proxy.http1.framing import Body

END = re.compile(rb"\n\r?\n")
ICY = b"ICY "
BEGINNINGS = (b"HTTP/1.", ICY)
HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
PADDING = b" \t"

SIZE, DATA, DATA_END, TRAILERS, AS_IT_IS = range(5)


class Lenient:
    """Reads heads and bodies of an upstream that is not strict."""

    __slots__ = ()

    def head(self, data: bytes | bytearray, seen: int) -> tuple[bytes, int] | None:
        """A head in strict form and how many bytes it had; None: it is not all here.

        The first `seen` bytes were looked at before.
        """
        end = END.search(data, max(seen - 2, 0))
        if end is None:
            return None
        return strict_head(bytes(data[: end.end()])), end.end()

    def may_begin(self, data: bytes | bytearray) -> bool:
        """Can it become a head?"""
        return any(each.startswith(data[: len(each)]) for each in BEGINNINGS)

    def body(self, body: Body) -> Body:
        """The reader of a body, in place of the strict one."""
        return LenientChunkedBody() if isinstance(body, ChunkedBody) else body


def strict_head(data: bytes) -> bytes:
    """A whole head, its empty line included, line by line."""
    first, *lines = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    if first.startswith(ICY):  # with no length, and no keeping of the connection
        first = b"HTTP/1.0 " + first.removeprefix(ICY)
    return b"\r\n".join([first, *map(strict_field, lines)])


def strict_field(line: bytes) -> bytes:
    """A field line without space before its colon; a folded one stays as it is."""
    if line[:1] in (b" ", b"\t"):
        return line
    name, colon, value = line.partition(b":")
    return name.rstrip(PADDING) + colon + value


class LenientChunkedBody(ChunkedBody):
    """A chunked body whose lines may end in LF, and whose sizes may be padded.

    What cannot be put into strict form is passed on as it is, and is refused by the
    strict reader.
    """

    __slots__ = ("held", "part", "rest")

    def __init__(self) -> None:
        super().__init__()
        self.part = SIZE
        self.rest = 0  # bytes of the present chunk that are still to come
        self.held = b""  # a line that is not complete

    def feed(self, data: bytes, most: int = sys.maxsize) -> bytes:
        strict, rest = self.strict(self.held + data, most)
        payload = super().feed(strict)
        if rest and self.error is None:
            self.excess += rest
        # `between` has others pass a chunk on without a call of `feed`.
        self.between = self.between and self.part == SIZE and not self.held
        return payload

    def strict(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """What is known in strict form, and what is beyond the first `most` lines."""
        self.held = b""
        out: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if self.part == DATA:
                stop = min(end, position + self.rest)
                out.append(data[position:stop])
                self.rest -= stop - position
                position = stop
                if not self.rest:
                    self.part = DATA_END
                continue
            if self.part == AS_IT_IS:
                out.append(data[position:])
                break
            if not most:
                return b"".join(out), data[position:]
            stop = data.find(b"\n", position)
            most_held = MAX_TRAILERS if self.part == TRAILERS else MAX_CHUNK_LINE
            if stop < 0 and end - position <= most_held:
                self.held = data[position:]
                break
            if stop < 0:
                self.part = AS_IT_IS
                continue
            most -= 1
            out.append(self.line(data[position:stop].removesuffix(b"\r")))
            position = stop + 1
        return b"".join(out), b""

    def line(self, line: bytes) -> bytes:
        """A line in strict form; it tells what comes next."""
        if self.part == SIZE:
            size, semicolon, extension = line.partition(b";")
            size = size.strip(PADDING)
            if HEX.fullmatch(size) is None:
                self.part = AS_IT_IS
            else:
                self.rest = int(size, 16)
                self.part = DATA if self.rest else TRAILERS
            line = size + semicolon + extension.rstrip(PADDING)
        elif self.part == DATA_END:
            self.part = SIZE if not line else AS_IT_IS
        elif line:
            line = strict_field(line)
        else:
            self.part = AS_IT_IS  # what follows belongs to nobody
        return line + b"\r\n"
