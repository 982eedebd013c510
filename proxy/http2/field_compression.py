"""HPACK (RFC 7541): header blocks in, under limits, and out, without state.

The tables and the Huffman code are those of `hpack`; the walk over a block is our own:
`hpack` copies what is left of a block for each field, and a block that breaks its limit
leaves its tables out of step. What the fields mean is not known here.
"""

from __future__ import annotations

from typing import TypeAlias

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from proxy.http1.grammar import NAMES, Fields, Remembered
from proxy.http1.head import REMEMBERED_BYTES
from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM

Field: TypeAlias = tuple[bytes, bytes]

STATIC: tuple[Field, ...] = HeaderTable.STATIC_TABLE
FIRST_DYNAMIC = len(STATIC) + 1
TABLE_SIZE = 4096  # of the peer's encoder: what SETTINGS_HEADER_TABLE_SIZE says unsent
FIELD_COST = 32  # of each field, besides its bytes (RFC 7541 §4.1, RFC 9113 §6.5.2)
# A block beyond the limit is read to its end, so that the next one can be read. One
# that is this many times beyond it is no request that was meant to be answered.
PATIENCE = 4
LAST_SHIFT = 28  # of an integer: five bytes after its prefix, as `hpack` has it

HUFFMAN = Remembered(decode_huffman)


class BlockDecoder:
    """The header blocks of one peer, in order. Each has to be read, wanted or not."""

    __slots__ = ("before", "max_bytes", "table")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.table = HeaderTable()
        # The last block and what it says, if it put nothing into the table: the next
        # may be the same bytes.
        self.before: tuple[bytes, Fields, int] | None = None

    def decode(self, block: bytes) -> tuple[Fields, int]:
        """The fields of a block, and their size. Beyond `max_bytes` none is kept.

        Raises:
            ConnectionFault: the block cannot be read, or is far beyond the limit.
        """
        before = self.before
        if before is not None and before[0] == block:
            return before[1].copy(), before[2]
        self.before = None
        try:
            return self.read(block)
        except (HPACKError, IndexError) as fault:
            text = str(fault) if isinstance(fault, HPACKError) else "it is cut off"
            raise ConnectionFault(
                COMPRESSION_ERROR, f"malformed header block: {text[:200]}"
            ) from None

    def read(self, block: bytes) -> tuple[Fields, int]:
        """The same, without a word for what is wrong."""
        fields: Fields = []
        table, limit = self.table, self.max_bytes
        dynamic = table.dynamic_entries
        at, end, size, begun, added = 0, len(block), 0, False, False
        while at < end:
            first = block[at]
            if first & 0x80:  # §6.1: a field that is in a table
                index = first & 0x7F
                place = index - FIRST_DYNAMIC
                if place < 0 < index:
                    field: Field = STATIC[index - 1]
                    at += 1
                elif 0 <= place < len(dynamic) and index < 0x7F:
                    field = dynamic[place]
                    at += 1
                else:
                    index, at = integer(block, at, 0x7F)
                    field = table.get_by_index(index)
            elif first & 0xE0 == 0x20:  # §6.3
                if begun:
                    raise HPACKError("a table size update behind a field")
                new, at = integer(block, at, 0x1F)
                if new > TABLE_SIZE:
                    raise HPACKError(f"a table size of {new}: at most {TABLE_SIZE}")
                table.maxsize = new
                continue
            else:  # §6.2
                kept = bool(first & 0x40)
                index, at = integer(block, at, 0x3F if kept else 0x0F)
                if index:
                    name = table.get_by_index(index)[0]
                else:
                    name, at = string(block, at)
                    name = NAMES[name]
                value, at = string(block, at)
                field = (name, value)
                if kept:
                    table.add(name, value)
                    added = True
            begun = True
            size += len(field[0]) + len(field[1]) + FIELD_COST
            if size <= limit:
                fields.append(field)
            elif size > limit * PATIENCE:
                raise ConnectionFault(
                    ENHANCE_YOUR_CALM,
                    f"a header block of more than {PATIENCE} times {limit} bytes "
                    "(max_head_bytes)",
                )
        if not added and size <= min(limit, REMEMBERED_BYTES):
            self.before = (block, fields.copy(), size)
        return fields, size


def integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """An integer whose prefix has the bits of `mask` (§5.1), and where it ends."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        if shift == LAST_SHIFT:
            raise HPACKError("an integer of too many bytes")
        shift += 7


def string(block: bytes, at: int) -> tuple[bytes, int]:
    """A string (§5.2), and where it ends."""
    coded = block[at] & 0x80
    length = block[at] & 0x7F
    if length < 0x7F:  # as `integer` has it
        at += 1
    else:
        length, at = integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HPACKError(f"a string of {length} bytes: {len(block) - at} are left")
    data = block[at:end]
    return (HUFFMAN[data] if coded else data), end


# -- out


def name_prefix(name: bytes) -> bytes:
    """A literal field without indexing (§6.2.2), up to its value."""
    for index, (known, _) in enumerate(STATIC, 1):
        if known == name:
            return encoded_integer(index, 0x0F, 0x00)
    return b"\x00" + encoded_string(name)


PREFIXES = Remembered(name_prefix)


def encoded_integer(number: int, mask: int, flags: int) -> bytes:
    """An integer behind `flags`, in a prefix that has the bits of `mask` (§5.1)."""
    if number < mask:
        return bytes((flags | number,))
    coded = bytearray((flags | mask,))
    number -= mask
    while number >= 0x80:
        coded.append(0x80 | number & 0x7F)
        number >>= 7
    coded.append(number)
    return bytes(coded)


def encoded_string(data: bytes) -> bytes:
    """A string as it is (§5.2): Huffman's code would cost more time than it saves."""
    return encoded_integer(len(data), 0x7F, 0x00) + data


def encoded_field(name: bytes, value: bytes) -> bytes:
    """One field, which the peer puts into no table (§6.2.2)."""
    return PREFIXES[name] + encoded_string(value)


def encoded_status(status: int) -> bytes:
    """`:status` (RFC 9113 §8.3.2); the usual ones are in the static table."""
    field = (b":status", b"%d" % status)
    if field in STATIC:
        return encoded_integer(STATIC.index(field) + 1, 0x7F, 0x80)
    return encoded_field(*field)
