"""Sockets that a service manager has opened before: sd_listen_fds(3).

systemd keeps them over a restart, so no connection is refused meanwhile, and a port
below 1024 needs no right of the process. One called `admin` is for the admin
listener; the others are the public port.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple

from msgspec.structs import replace

from proxy.config.dangers import dangers
from proxy.config.listen_address import ListenAddress
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.server.admin_sockets import AdminSockets

FIRST = 3  # SD_LISTEN_FDS_START
PID, COUNT, NAMES = "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"
ADMIN = "admin"
INTERNET = (socket.AF_INET, socket.AF_INET6)


class GivenSockets(NamedTuple):
    """What there is; none of a kind: it is opened as configured."""

    public: tuple[socket.socket, ...] = ()
    admin: tuple[socket.socket, ...] = ()


NONE_GIVEN = GivenSockets()


def given_sockets(
    environ: MutableMapping[str, str], config: Config, first: int = FIRST
) -> GivenSockets:
    """The sockets that this process has got; the environment no longer names them.

    Raises:
        ConfigError: one of them is of no use.
    """
    pid, count = environ.pop(PID, ""), environ.pop(COUNT, "")
    names = environ.pop(NAMES, "").split(":")
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return GivenSockets()
    public: list[socket.socket] = []
    admin: list[socket.socket] = []
    faults: list[str] = []
    for place in range(int(count)):
        name = names[place] if place < len(names) and names[place] else "unknown"
        try:
            sock = socket.socket(fileno=first + place)
        except OSError as fault:
            reason = (fault.strerror or str(fault)).lower()
            faults.append(f"{of(place, name)}: {reason}")
            continue
        os.set_inheritable(sock.fileno(), False)
        (admin if name == ADMIN else public).append(sock)
        if fault_text := unfit(sock, name, config):
            faults.append(f"{of(place, name)}: {fault_text}")
    if faults:
        for sock in (*public, *admin):
            sock.close()
        raise ConfigError(faults)
    return GivenSockets(tuple(public), tuple(admin))


def of(place: int, name: str) -> str:
    """Which socket, as a fault names it."""
    return f"socket {place + 1} of the service manager ({NAMES}: {name})"


def unfit(sock: socket.socket, name: str, config: Config) -> str:
    """Why a socket is of no use; "": it is."""
    if sock.type != socket.SOCK_STREAM:
        return "is not a stream socket: write ListenStream= in the socket unit"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen: write Accept=no in the socket unit"
    if name == ADMIN and not config.server.admin:
        return "is for an admin listener: set [server] admin to its address"
    if name != ADMIN and sock.family not in INTERNET:
        return (
            "is not a TCP socket: clients come by TCP; of the admin listener write "
            f"FileDescriptorName={ADMIN}"
        )
    return ""


def address_of(sock: socket.socket) -> ListenAddress:
    """Where a socket listens."""
    name = sock.getsockname()
    if sock.family in INTERNET:
        return ListenAddress(name[0], name[1])
    return ListenAddress("", 0, os.fsdecode(name) or "(unnamed)")


def public_address(given: GivenSockets) -> ListenAddress | None:
    """Where the public port is, if it was given; asked before a socket is closed."""
    return address_of(given.public[0]) if given.public else None


def listening_there(config: Config, address: ListenAddress | None) -> Config:
    """A configuration with that address, if there is one; so no reload moves it."""
    if address is None:
        return config
    server = replace(config.server, host=address.host, port=address.port)
    there = replace(config, server=server)
    before = {*dangers(config)}
    new = [
        f"[{d.table}] {d.key}: {d.message}" for d in dangers(there) if d not in before
    ]
    return replace(there, warnings=(*config.warnings, *new))


def admin_sockets(given: GivenSockets) -> AdminSockets | None:
    """Those of the admin listener, if they are among them."""
    if not given.admin:
        return None
    return AdminSockets(address_of(given.admin[0]), given.admin)
