"""The chunked transfer coding, incrementally (RFC 9112 §7.1).

Framing is not forwarded: bytes are read out of the sender's chunks and put
into chunks of our own, so that no two readers can disagree about them.
"""

from __future__ import annotations

import re
import sys

from proxy.http1.grammar import END_OF_HEAD, TOKEN, Fields, parse_fields, shown

# RFC 9112 §7.1.1. Where another reader has a quoted string end decides where it has
# the chunk begin; so an extension is read as the grammar has it, and no further.
BWS = rb"[ \t]*+"
NAME = BWS + b";" + BWS + TOKEN + b"++"
EQUALS = BWS + b"=" + BWS
QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+'
VALUE = TOKEN + b"++|" + QUOTED + b'"'
PARAMETER = NAME + EQUALS + b"(?:" + VALUE + b")"
EXTENSIONS = b"(?:" + NAME + b"(?:" + EQUALS + b"(?:" + VALUE + b"))?+)"
# 15 hex digits is 2^60 - 1; a longer size is an overflow or an attack.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(" + EXTENSIONS + rb"++)?+\r\n")
# The same, cut anywhere: a value may be missing, or have no end yet.
BEGUN_VALUE = VALUE + b"|" + QUOTED + rb"\\?+\Z|\Z"
BEGUN_EXTENSIONS = b"(?:" + NAME + b"(?:" + EQUALS + b"(?:" + BEGUN_VALUE + b"))?+)*+"
CHUNK_LINE_SO_FAR = re.compile(
    rb"(?:[0-9A-Fa-f]{1,15}+"
    + BEGUN_EXTENSIONS
    + rb"(?:\r|"
    + BWS
    + rb"(?:;[ \t]*+)?+))?+"
)
# The size lines that need no expression: of one digit, without an extension.
SHORT_SIZES = {line: int(line, 16) for digit in range(1, 16)
               for line in (b"%x\r\n" % digit, b"%X\r\n" % digit)}  # fmt: skip
ONE = b"1\r\n"
ONES = re.compile(rb"(?:1\r\n[\x00-\xff]\r\n)++")
ONE_LENGTH = 6  # bytes of a chunk of one byte; its byte is the fourth
LONE_LF = re.compile(rb"(?<!\r)\n")
CRLF = b"\r\n"
MAX_CHUNK_LINE = 1024  # bytes, CRLF included; real extensions are a few dozen
# Extensions cost work and carry nothing: 100,000 tiny chunks with long
# extensions were a denial of service in Go (CVE-2023-39326) and Node.
MAX_EXTENSIONS = 16 * 1024  # bytes, over one body
# Chunks of a long read that are taken at once: 2 ms, for one costs up to 1 µs, and
# 256 KiB hold 43,000 of them.
CHUNKS_AT_ONCE = 2048
MAX_TRAILERS = 16 * 1024  # bytes, the empty line included

LINE_TOO_LONG = "chunk-size line exceeds the limit"
TRAILERS_TOO_LONG = "trailers exceed the limit"
NO_TRAILERS: Fields = []  # of all bodies that have none; nobody adds to them

SIZE, DATA, DATA_END, TRAILERS = range(4)


class ChunkedBody:
    """Reads a chunked body. One `feed` per read of the socket.

    After a `feed`, `complete` says whether the last chunk and the trailers are
    in; `excess` holds what came after them; `error` is set for good once the
    framing is broken, and payload that came before the fault is still returned.
    """

    __slots__ = (
        "between",
        "complete",
        "error",
        "excess",
        "extensions",
        "pending",
        "remaining",
        "seen",
        "state",
        "trailers",
    )

    def __init__(self) -> None:
        self.state = SIZE
        self.between = True  # the next byte begins a chunk
        self.remaining = 0  # bytes of the present chunk still to come
        self.pending = b""  # an incomplete line or trailer section
        self.seen = 0  # bytes of an incomplete trailer section that were looked at
        self.extensions = 0
        self.trailers = NO_TRAILERS
        self.complete = False
        self.error: str | None = None
        self.excess = b""

    def feed(self, data: bytes, most: int = sys.maxsize) -> bytes:
        """Take bytes from the wire, return the payload among them.

        Of no more than `most` chunks, if the bytes begin more of them: then
        `excess` is what has to be fed again.
        """
        if self.pending:
            data = self.pending + data
            self.pending = b""
        elif self.between:
            # What a stream is made of: one whole chunk, and nothing else.
            whole = CHUNK_LINE.match(data)
            if whole is not None and whole[2] is None:
                begin = whole.end()
                end = begin + int(whole[1], 16)
                if end > begin and data[end:] == b"\r\n":
                    return data[begin:end]
        pieces: list[bytes] = []
        position = taken = 0
        end = len(data)
        while position < end and self.error is None and not self.complete:
            if self.state == SIZE:
                if data.startswith(CRLF, position + 1):  # a size of one digit
                    position, taken = short_chunks(data, position, pieces, taken, most)
                if taken >= most:
                    self.excess = data[position:]
                    break
                line = CHUNK_LINE.match(data, position)
                if line is None:
                    self.keep_line(data[position:])
                    break
                begin = line.end()
                size = self.begin_chunk(line)
                position = begin + size + 2
                if self.state == DATA and data[begin + size : position] == CRLF:
                    pieces.append(data[begin : begin + size])
                    taken += 1
                    self.state = SIZE
                else:  # it is not all here
                    position = begin
            elif self.state == DATA:
                stop = min(end, position + self.remaining)
                pieces.append(data[position:stop])
                taken += 1
                self.remaining -= stop - position
                position = stop
                if not self.remaining:
                    self.state = DATA_END
            elif self.state == DATA_END:
                position = self.end_chunk(data, position)
            else:
                self.read_trailers(data[position:])
                break
        self.between = self.state == SIZE and not self.pending and self.error is None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end_chunk(self, data: bytes, position: int) -> int:
        """The CRLF behind the data of a chunk; where the bytes go on."""
        if data.startswith(CRLF, position):
            self.state = SIZE
            return position + 2
        if data[position:] == b"\r":
            self.pending = b"\r"
        else:
            self.error = "chunk data is not followed by CRLF"
        return len(data)

    def begin_chunk(self, line: re.Match[bytes]) -> int:
        """A size line is complete; the size."""
        digits, extensions = line.groups()
        if extensions is not None:
            self.extensions += len(extensions)
            if len(line[0]) > MAX_CHUNK_LINE:
                self.error = LINE_TOO_LONG
            elif self.extensions > MAX_EXTENSIONS:
                self.error = "chunk extensions exceed the limit"
        self.remaining = size = int(digits, 16)
        if self.error is None:
            self.state = DATA if size else TRAILERS
        return size

    def keep_line(self, rest: bytes) -> None:
        """Wait for the rest of a chunk-size line, if it can still be one."""
        begun = rest[:MAX_CHUNK_LINE]  # all that is looked at again as more comes
        if CHUNK_LINE_SO_FAR.fullmatch(begun) is None:
            self.error = f"invalid chunk-size line {shown(rest)}"
        elif len(rest) >= MAX_CHUNK_LINE:
            self.error = LINE_TOO_LONG
        else:
            self.pending = rest

    def read_trailers(self, rest: bytes) -> None:
        """After the last chunk: field lines, then an empty line."""
        if rest.startswith(CRLF):
            self.complete = True
            self.excess = rest[2:]
            return
        seen, self.seen = self.seen, len(rest)
        stop = rest.find(END_OF_HEAD, max(seen - 3, 0))
        if stop < 0:
            if len(rest) >= MAX_TRAILERS:
                self.error = TRAILERS_TOO_LONG
            elif len(rest) > 1 and rest[0] == 13:
                self.error = "a CR without LF after the last chunk"
            elif LONE_LF.search(rest, seen):
                self.error = "an LF without CR in the trailers"
            else:
                self.pending = rest
            return
        if stop + len(END_OF_HEAD) > MAX_TRAILERS:
            self.error = TRAILERS_TOO_LONG
            return
        try:
            self.trailers = parse_fields(rest[: stop + 2])
        except ValueError as fault:
            self.error = f"malformed trailers: {fault}"
            return
        self.complete = True
        self.excess = rest[stop + 4 :]

    def end(self) -> str | None:
        """The sender closed: say what is missing, None if nothing is."""
        if self.complete:
            return None
        return "the last chunk is missing"


def short_chunks(
    data: bytes, position: int, pieces: list[bytes], taken: int, most: int
) -> tuple[int, int]:
    """Read the whole chunks of at most 15 bytes that come first.

    Adds what they carry to `pieces`; where the next chunk begins, and how many were
    `taken`, up to `most`. A sender of tiny chunks costs the more per byte, the more is
    done for each chunk.
    """
    size_of = SHORT_SIZES.get
    add = pieces.append
    while taken < most:
        begin = position + 3
        line = data[position:begin]
        size = size_of(line)
        if size is None:
            break
        stop = begin + size
        behind = stop + 2
        if data[stop:behind] != CRLF:
            break
        if size == 1 and data[behind : behind + 3] == ONE:
            limit = min(position + (most - taken) * ONE_LENGTH, len(data))
            run = ONES.match(data, position, limit)
            if run is not None:  # at least this chunk
                behind = run.end()
                taken += (behind - position) // ONE_LENGTH
                add(data[begin:behind:ONE_LENGTH])
                position = behind
                continue
        add(data[begin:stop])
        taken += 1
        position = behind
    return position, taken


def chunk(piece: bytes) -> bytes:
    """One piece as one chunk. An empty piece would be the last chunk: refused."""
    if not piece:
        raise ValueError("an empty piece cannot be sent as a chunk")
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK = b"0\r\n\r\n"


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body, with its trailer section (RFC 9112 §7.1.2)."""
    if not trailers:
        return LAST_CHUNK
    lines = b"".join(b"%b: %b\r\n" % field for field in trailers)
    return b"0\r\n" + lines + b"\r\n"


def whole_chunk_lines(longest: int) -> list[bytes | None]:
    """By the length of a whole chunk, up to `longest` bytes: how it begins.

    A chunk as `chunk` writes it tells its length twice, by all its bytes and by
    its first line. So for each length there is one such line; or none, where a
    size of one more digit makes the length jump by two.
    """
    lines: list[bytes | None] = [None] * (longest + 1)
    for size in range(1, longest):
        line = b"%x\r\n" % size
        whole = len(line) + size + 2
        if whole <= longest:
            lines[whole] = line
    return lines
