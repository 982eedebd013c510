"""`[server] admin`: what of it is right only together with other keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.config.listen_address import ListenAddress, parse_listen_address
from proxy.config.model import InspectorOptions, MetricsOptions, ServerOptions
from proxy.config.reader import Entries, Reader

SERVER = ServerOptions()


def admin_address(server: ServerOptions) -> ListenAddress | None:
    """Where the admin listener is; None: there is none."""
    return parse_listen_address(server.admin) if server.admin else None


def check_admin(reader: Reader, plain: Mapping[str, Entries]) -> None:
    """It has an address of its own, and something to answer."""
    entry = plain["server"].get("admin")
    if entry is None or not entry.value:
        return
    admin = parse_listen_address(entry.value)
    host = value_of(plain["server"], "host", SERVER.host)
    port = value_of(plain["server"], "port", SERVER.port)
    if admin.meets(ListenAddress(host, port)):
        message = (
            f"{admin} is the address of the proxy (see host and port): choose "
            "another port"
        )
        reader.fault("server", "admin", message)
    inspector = value_of(plain["inspector"], "enabled", InspectorOptions().enabled)
    metrics = value_of(plain["metrics"], "enabled", MetricsOptions().enabled)
    if inspector is False and metrics is False:
        message = "answers nothing: [metrics] and [inspector] enabled are false"
        reader.warn("server", "admin", message)


def value_of(entries: Entries, key: str, default: object) -> Any:
    """What a key says, or is without being said."""
    entry = entries.get(key)
    return default if entry is None else entry.value
