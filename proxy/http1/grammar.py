"""The grammar that heads and trailers share: fields, hosts, what is never allowed.

RFC 9110 §5 and RFC 9112 §5, strictly. Which field means what is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Generic, TypeAlias, TypeVar

Fields: TypeAlias = list[tuple[bytes, bytes]]

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

# Quantifiers are possessive so that no input makes a match backtrack.
LINE = rb"(" + TOKEN + rb"++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)\r\n"
FIELD_LINE = re.compile(LINE)
# A search goes on at every byte behind a fault, and would read the rest of a long
# line from each of them. So what is not a field line is a match too: all of it.
FIELD_LINES = re.compile(LINE + rb"|([\x00-\xff]++)")
# What no later byte can mend: a control byte, a CR without LF, an LF without CR.
STRAY = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
# reg-name, IPv4 or IP-literal with optional port (RFC 3986 §3.2.2, no userinfo).
# Never empty (RFC 9110 §4.2.1), and without the comma that the grammar allows:
# it is how two Hosts look once somebody has joined them.
HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]++)(?:%25[\w.~-]++)?\]"
    rb"|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++)"
    rb"(?::(\d{0,5}+))?"
)
MAX_PORT = 65535
END_OF_HEAD = b"\r\n\r\n"


T = TypeVar("T")


class Remembered(dict[bytes, T], Generic[T]):
    """What was found of a field's name, or of a host. They repeat all the time.

    Bounded, since peers choose them: beyond the first thousand, and of long
    ones, each is looked at anew.
    """

    __slots__ = ("find",)

    def __init__(self, find: Callable[[bytes], T]) -> None:
        super().__init__()
        self.find = find

    def __missing__(self, value: bytes) -> T:
        found = self.find(value)
        if len(value) <= 64 and len(self) < 1000:
            self[value] = found
        return found


# The name of a field, and the same in lower case. Thousands of open streams have the
# same names: each stands in memory once.
NAMES = Remembered(bytes)
LOWER_NAMES = Remembered(bytes.lower)


def is_authority(value: bytes) -> bool:
    """Is it a host with an optional port, as in Host (RFC 9110 §7.2)?"""
    return AUTHORITIES[value]


def is_host_and_port(value: bytes) -> bool:
    """The same, looked at anew."""
    parts = HOST.fullmatch(value)
    if parts is None:
        return False
    address, port = parts.groups()
    if port and int(port) > MAX_PORT:
        return False
    if address is not None:
        try:
            IPv6Address(address.decode("ascii"))
        except ValueError:
            return False
    return True


AUTHORITIES = Remembered(is_host_and_port)


def stray_byte(data: bytes | bytearray, start: int = 0) -> str | None:
    """Name the first byte that no well-formed head contains, if there is one."""
    found = STRAY.search(data, start)
    if found is None:
        return None
    shown = found[0][:1]
    kind = {b"\r": "a CR without LF", b"\n": "an LF without CR"}.get(shown)
    return f"{kind or f'control byte 0x{shown[0]:02x}'} at byte {found.start()}"


def parse_fields(section: bytes) -> Fields:
    """Split a field section, each line ended by CRLF.

    Raises:
        ValueError: names the first line at fault.
    """
    lines = FIELD_LINES.findall(section)
    if lines and lines[-1][2]:
        raise ValueError(field_fault(section))
    return [(NAMES[name], value.rstrip(b" \t")) for name, value, _ in lines]


def field_fault(section: bytes) -> str:
    """Say what is wrong with the first malformed line of a field section."""
    stray = stray_byte(section)
    if stray is not None:
        return stray
    for line in section.split(b"\r\n"):
        if FIELD_LINE.fullmatch(line + b"\r\n"):
            continue
        name, colon, _ = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            return "obsolete line folding (RFC 9112 §5.2)"
        if not colon:
            return f"field line without a colon: {shown(line)}"
        if name != name.rstrip(b" \t"):
            return f"whitespace before the colon of field {shown(name.rstrip())}"
        return f"invalid field name {shown(name)}"
    return "the last field line does not end with CRLF"


def shown(data: bytes | bytearray, limit: int = 40) -> str:
    """Bytes of a peer, made safe and short for a message."""
    text = data[:limit].decode("latin-1").encode("ascii", "backslashreplace").decode()
    return repr(text + ("…" if len(data) > limit else ""))
