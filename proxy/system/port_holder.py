"""Which program listens on a port of this machine, for the message that it is taken.

Linux tells it in /proc: the sockets that listen, and which process has which socket.
Other systems do not, nor does Linux of processes of other users: then nobody is named.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

PROC = Path("/proc")
LISTENS = "0A"  # the state of a socket, as the kernel numbers it
TABLES = ("tcp", "tcp6")
TEXT_BYTES = 64  # of a name, in a message

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class ListenLine(NamedTuple):
    """A line of /proc/net/tcp: a socket that listens."""

    address: Address
    user: int
    inode: str


def port_fault(host: str, port: int, choose: str, *, name: bool = True) -> str:
    """That a port is in use, by which program if `name` asks for it, and what to do.

    `choose` is how another port is chosen.
    """
    if name and port_holder(host, port) == own_name():
        said = "this process is already using this port"
        return f"{said}; choose another port with {choose}"
    said = in_use(host, port) if name else "another program is using this port"
    return f"{said}; stop it, or choose another port with {choose}"


def in_use(host: str, port: int) -> str:
    """That another program uses a port, and which one if that can be seen."""
    return f"another program is using this port{holder_note(host, port)}"


def holder_note(host: str, port: int, proc: Path = PROC) -> str:
    """` (node, process 4711)`, to follow the word port; "" where nobody is known."""
    who = port_holder(host, port, proc)
    return f" ({who})" if who else ""


def port_holder(host: str, port: int, proc: Path = PROC) -> str:
    """`node, process 4711`; `a program of root` where no more can be seen, or ""."""
    found = [each for each in listening(port, proc) if overlaps(each.address, host)]
    if not found:
        return ""
    for inode in [each.inode for each in found]:
        if (process := process_of(inode, proc)) is not None:
            return f"{name_of(process)}, process {process.name}"
    return f"a program of {user_name(found[0].user)}"


def own_name() -> str:
    """This process, as `port_holder` names it."""
    return f"{name_of(PROC / str(os.getpid()))}, process {os.getpid()}"


def listening(port: int, proc: Path = PROC) -> Iterator[ListenLine]:
    """Every socket that listens on a port, whatever its address."""
    for table in TABLES:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (proc / "net" / table).read_text("ascii").splitlines()[1:]:
                words = line.split()
                address, _, number = words[1].partition(":")
                if words[3] == LISTENS and int(number, 16) == port:
                    yield ListenLine(address_of(address), int(words[7]), words[9])


def address_of(text: str) -> Address:
    """An address as the kernel prints it: words of 32 bits in the machine's order."""
    words = [text[start : start + 8] for start in range(0, len(text), 8)]
    raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(raw)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def overlaps(address: Address, host: str) -> bool:
    """Is a socket at `address` in the way of one at `host`? A name may be anything."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return True
    return address == wanted or address.is_unspecified or wanted.is_unspecified


def process_of(inode: str, proc: Path = PROC) -> Path | None:
    """The folder of the first process that has a socket, if we may look."""
    wanted = f"socket:[{inode}]"
    numbers = [int(each) for each in os.listdir(proc) if each.isdecimal()]
    # This process last: a proxy may have very many descriptors.
    for number in sorted(numbers, key=lambda each: (each == os.getpid(), each)):
        folder = proc / str(number)
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            for each in os.listdir(folder / "fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(folder / "fd" / each) == wanted:
                        return folder
    return None


def name_of(process: Path) -> str:
    """The name of a process, which it may choose itself: on one line, and short."""
    try:
        text = (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        text = ""
    shown = "".join(each for each in text if each.isprintable())[:TEXT_BYTES]
    return shown or "unknown"


def user_name(user: int) -> str:
    """The name of a user by its number."""
    if sys.platform == "win32":
        return f"user {user}"
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
