"""Secrets in files that every user of this machine can read.

Asks the file system, of POSIX alone: elsewhere a mode says nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from proxy.config.certificates_reader import certificate_name
from proxy.config.dangers import Danger
from proxy.config.fault_text import key_name, quoted
from proxy.config.listen_reader import listening_name
from proxy.config.model import (
    AUTO,
    CertificateOptions,
    Config,
    ListenOptions,
    ServerOptions,
)
from proxy.config.route_reader import table_name
from proxy.config.store_url import parse_store_url
from proxy.credentials import is_secret_name, is_secret_value

# 600 would lock out a service that runs as another user than the owner.
GROUP = ", or 640 with a group of the service, if that is not its owner"


def exposed_secrets(config: Config, origin: str) -> Iterator[Danger]:
    """Private keys, and what stands in the configuration file itself."""
    listeners: list[tuple[str, ServerOptions | ListenOptions | CertificateOptions]]
    listeners = [("server", config.server)]
    listeners += [(listening_name(n), each) for n, each in enumerate(config.listen, 1)]
    listeners += [
        (certificate_name(n), each) for n, each in enumerate(config.certificate, 1)
    ]
    for table, listener in listeners:
        key = "tls_key" if listener.tls_key else "tls_certificate"
        file = listener.tls_key or listener.tls_certificate
        if file and is_exposed(file):
            message = (
                f"every user of this machine can read the private key in {file}: "
                f"chmod 600 {quoted(file)}{GROUP}"
            )
            yield Danger(table, key, message)
    if not is_exposed(origin):
        return
    for table, name in written_secrets(config):
        if "${" in config.sources.get(f"{table}.{name}", "${"):
            continue
        message = (
            f"every user of this machine can read it in {origin}: chmod 640 "
            f"{quoted(origin)}, with a group of the service, or take it from the "
            'environment, as in "${NAME}"'
        )
        yield Danger(table, name, message)


def written_secrets(config: Config) -> Iterator[tuple[str, str]]:
    """Table and key of each value that nobody else should know."""
    for table in ("inspector", "metrics"):
        if getattr(config, table).token not in ("", AUTO):
            yield table, "token"
    if config.store.url and parse_store_url(config.store.url).password:
        yield "store", "url"
    if config.store.key:
        yield "store", "key"
    for prefix, route in config.routes.items():
        for name, value in route.headers.request.set.items():
            if is_secret_name(name) or is_secret_value(value):
                yield table_name(prefix), f"headers.request.set.{key_name(name)}"


def is_exposed(file: str, *, posix: bool = os.name == "posix") -> bool:
    """May all users read it, and look into each folder above it?"""
    if not posix:
        return False
    try:
        path = Path(os.path.realpath(file))
        found = path.stat()
        folders = [each.stat().st_mode for each in path.parents]
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & stat.S_IROTH:
        return False
    return all(mode & stat.S_IXOTH for mode in folders)
