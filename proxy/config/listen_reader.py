"""`[[listen]]`: listeners beside that of `[server]`, read and judged together."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from proxy.config.certificate import CERTIFICATE, read_certificate
from proxy.config.fault_text import described
from proxy.config.listen_address import name_of, parse_listen_address
from proxy.config.model import ListenOptions, ServerOptions
from proxy.config.reader import Entries, Entry, Reader

LISTEN = "listen"
MOST = 16  # each is a socket in every worker

Listening: TypeAlias = Sequence[Entries]


@dataclass(frozen=True, slots=True)
class ListenPlace:
    """Where something listens, and the table that says so."""

    host: str
    port: int
    table: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def overlaps(self, other: ListenPlace) -> bool:
        """Are both the same address, or is one part of the other?"""
        if not self.port or self.port != other.port:
            return False
        same = name_of(self.host) == name_of(other.host)
        return same or self.holds(other) or other.holds(self)

    def holds(self, other: ListenPlace) -> bool:
        """Is it all addresses of a family that the other one is of?"""
        one, two = ip_of(self.host), ip_of(name_of(other.host))
        if one is None or two is None or not one.is_unspecified:
            return False
        return one.version == 6 or two.version == 4  # `::` is IPv4, too


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; None of a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def listening_name(number: int) -> str:
    """How one of the tables is called in faults and sources."""
    return f"[[{LISTEN}]] number {number}"


def read_listen(reader: Reader, raw: object, server: Entries) -> list[Entries]:
    """Read all tables; those with a fault are left out."""
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        found = "one table" if isinstance(raw, dict) else described(raw)
        reader.fault("", f"[[{LISTEN}]]", f"got {found}: write [[{LISTEN}]]")
        return []
    if len(raw) > MOST:
        reader.fault(
            "", f"[[{LISTEN}]]", f"there are {len(raw)} of them, at most {MOST} work"
        )
        return []
    default = ServerOptions()
    host = server.get("host") or Entry("host", default.host, "default")
    port = server["port"].value if "port" in server else default.port
    places = [ListenPlace(host.value, port, "[server]")]
    if "admin" in server and server["admin"].value:
        admin = parse_listen_address(server["admin"].value)
        if not admin.path:
            places.append(ListenPlace(admin.host, admin.port, "[server] admin"))
    listen: dict[int, Entries] = {}
    for number, content in enumerate(raw, start=1):
        table = listening_name(number)
        entries = reader.plain(table, content, ListenOptions)
        if not entries.get("host") and "host" not in content:
            entries["host"] = replace(host, source=inherited(reader, host.source))
        if "port" not in content:
            reader.fault(table, "port", "missing: write port = 80")
        read_certificate(reader, entries, table)
        if "port" in entries and "host" in entries:
            place = ListenPlace(entries["host"].value, entries["port"].value, table)
            check_place(reader, place, places)
            places.append(place)
            listen[number] = entries
    check_redirects(reader, listen, server)
    return list(listen.values())


def inherited(reader: Reader, source: str) -> str:
    """Where what a listener has of `[server]` comes from."""
    if not source.startswith(reader.origin):
        return source  # a flag of the command line, or nobody
    return f"{reader.origin} [server]{source.removeprefix(reader.origin)}"


def check_place(
    reader: Reader, place: ListenPlace, others: Sequence[ListenPlace]
) -> None:
    """Two listeners cannot have one address."""
    for other in others:
        if place.overlaps(other):
            message = f"{place} is taken by {other} of {other.table}"
            reader.fault(place.table, "port", message)
            return


def check_redirects(
    reader: Reader, listen: Mapping[int, Entries], server: Entries
) -> None:
    """A redirect leads from plain HTTP to a listener with TLS."""

    def secure(entries: Entries) -> bool:
        return CERTIFICATE in entries and bool(entries[CERTIFICATE].value)

    any_secure = any(map(secure, [server, *listen.values()]))
    for number, entries in listen.items():
        entry = entries.get("https_redirect")
        if entry is None or not entry.value:
            continue
        if secure(entries):
            message = "this listener has tls_certificate: remove one of them"
        elif not any_secure:
            message = "leads to no listener: set tls_certificate in [server]"
        else:
            continue
        reader.fault(listening_name(number), "https_redirect", message)
