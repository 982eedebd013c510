"""A target that is our own listener: its requests would go round until a 508.

Asks this machine which addresses it has; sends nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any, TypeAlias

from proxy.config.listen_address import parse_listen_address
from proxy.config.listen_reader import Listening, listening_name
from proxy.config.model import ServerOptions
from proxy.config.reader import Reader
from proxy.config.route_reader import Options, table_name
from proxy.config.target import Target

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


def check_loops(
    reader: Reader,
    server: Mapping[str, Any],
    listen: Listening,
    routes: Mapping[str, Options],
) -> None:
    """A route to a listener of our own would call itself without end."""
    default = ServerOptions()
    own = [("[server]", server.get("host", default.host))]
    ports = [server.get("port", default.port)]
    for number, entries in enumerate(listen, start=1):
        own.append((listening_name(number), entries["host"].value))
        ports.append(entries["port"].value)
    for prefix, options in routes.items():
        entry = options.values.get("target")
        for position, target in enumerate(entry.value if entry else (), start=1):
            for (table, host), port in zip(own, ports, strict=True):
                if target.port != port or not port or not is_own(target, host):
                    continue
                key = "target"
                if len(entry.value if entry else ()) > 1:
                    key = f"target, item {position}"
                message = (
                    f"{target} is the address of the proxy itself ({table} host and "
                    "port), so requests would go in a circle: write the address of "
                    f"the upstream, or another {table} port"
                )
                reader.fault(table_name(prefix), key, message)
                break
    check_admin_target(reader, server.get("admin", default.admin), routes)


def check_admin_target(
    reader: Reader, written: str, routes: Mapping[str, Options]
) -> None:
    """A route to the admin listener would get 404: it has no routes."""
    admin = parse_listen_address(written) if written else None
    if admin is None or admin.path or not admin.port:
        return
    for prefix, options in routes.items():
        entry = options.values.get("target")
        for target in entry.value if entry else ():
            if target.port == admin.port and is_own(target, admin.host):
                message = (
                    f"{target} is the admin listener of the proxy itself ([server] "
                    "admin), which has no routes: write the address of the upstream"
                )
                reader.fault(table_name(prefix), "target", message)


def is_own(target: Target, host: str) -> bool:
    """Does a connection to this target, at our port, reach our listener?"""
    if target.socket_path is not None:
        return False
    if target.host.lower().rstrip(".") == host.lower().rstrip("."):
        return True
    listened = addresses(host)
    return any(
        reaches(address, own) for address in addresses(target.host) for own in listened
    )


def addresses(host: str) -> tuple[Address, ...]:
    """The addresses that a host has for certain, without asking a name server."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return LOOPBACK if name == socket.gethostname().lower() else ()
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address,)


def reaches(address: Address, own: Address) -> bool:
    """Is a connection to one address accepted by a listener on another?"""
    if address.is_unspecified:  # as a destination it is this machine
        address = LOOPBACK[address.version == 6]
    if address == own:
        return True
    if not own.is_unspecified:
        return False
    if own.version == 4 and address.version == 6:
        return False
    return address.is_loopback or is_local(address)


def is_local(address: Address) -> bool:
    """Is it an address of this machine? One that is not cannot be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
