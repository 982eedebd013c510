"""Which running proxy a command asks, and the token that it shows.

The address comes from the command line or from a configuration file, the token from
the command line, the environment or that file. It is never shown.
"""

from __future__ import annotations

import argparse
import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs

from proxy.config.admin_checks import admin_address
from proxy.config.listen_address import HAS_UNIX, UNIX_SCHEME
from proxy.config.load import load, read_document
from proxy.config.model import AUTO, Config, InspectorOptions, ServerOptions
from proxy.config.reader import Reader
from proxy.errors import ConfigError

VARIABLE = "UNBUFFERED_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_CONFIG = "config.toml"  # as for serve
DEFAULT_ADDRESS = f"that of ./{DEFAULT_CONFIG} if it is there, or else {DEFAULT_URL}"
NEEDS_TOKEN = (
    f"set the environment variable {VARIABLE}, or use --token, or --config with the "
    "file that has it"
)


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """Where a proxy is, as it may be shown, and the token that opens its inspector."""

    url: str
    token: str = field(default="", repr=False)

    @property
    def fields(self) -> dict[str, str]:
        """The field by which a program shows the token."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What says which proxy is asked, beside its URL."""
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="take the address and the token from the proxy's configuration file",
    )
    command.add_argument(
        "--token",
        help=f"token of the inspector (default: ${VARIABLE}, which other users of "
        "this machine cannot see)",
    )


def find_proxy(
    url: str | None,
    config: Path | None,
    token: str | None,
    environ: Mapping[str, str],
    beside: Path | None = None,
    *,
    guess: bool = True,
) -> RunningProxy:
    """The proxy that the command line means.

    `beside`: a file that says it where the command line says nothing, if it is there.
    `guess`: where that file cannot be read, the default address will do.

    Raises:
        ConfigError: with every fault of the file, or what else it does not say.
    """
    shown = token or environ.get(VARIABLE, "")
    if url is None and config is None and beside is not None and beside.is_file():
        return of_file_beside(beside, shown, environ, guess=guess)
    if config is not None:
        found = known_of(config, environ)
        configured = found.inspector.token
        shown = shown or ("" if configured == AUTO else configured)
        url = url or address_of(found)
    return at_address(url or DEFAULT_URL, shown)


def of_file_beside(
    path: Path, shown: str, environ: Mapping[str, str], *, guess: bool
) -> RunningProxy:
    """The proxy of a file that nobody has named, so that it may have faults.

    Raises:
        ConfigError: its listener is not right, and `guess` is false.
    """
    try:
        found = known_of(path, environ)
    except ConfigError:
        if not guess:
            raise
        return RunningProxy(DEFAULT_URL, shown)
    configured = found.inspector.token
    shown = shown or ("" if configured == AUTO else configured)
    return at_address(address_of(found), shown)


def known_of(path: Path, environ: Mapping[str, str]) -> Config:
    """What a file says of listener and inspector, whatever else is wrong with it.

    The variables of the proxy are often not set where somebody only looks at it or
    ends it: whether a token is needed, the proxy says.

    Raises:
        ConfigError: with every fault of the file, since its listener is not right.
    """
    try:
        return load(path, environ)
    except ConfigError as fault:
        document = read_document(path)
        reader, other = (Reader(str(path), environ) for _ in range(2))
        server = reader.plain("server", document.get("server", {}), ServerOptions)
        if reader.faults:
            raise fault from None
        inspector = document.get("inspector", {})
        token = other.plain("inspector", inspector, InspectorOptions).get("token")
        return Config(
            server=ServerOptions(**{key: each.value for key, each in server.items()}),
            inspector=InspectorOptions(token=token.value if token else ""),
        )


def at_address(url: str, token: str = "") -> RunningProxy:
    """A proxy by its address, or by the link with a token that it has printed."""
    bare, mark, query = url.partition("?")
    if mark:
        url = bare.removesuffix("_unbuffered/")
        token = token or parse_qs(query).get("token", [""])[0]
    return RunningProxy(url, token)


def address_of(config: Config) -> str:
    """Where a proxy with this configuration is found from the same machine.

    Raises:
        ConfigError: it is any free port.
    """
    server = config.server
    admin = admin_address(server)
    if admin is not None and admin.path:
        return str(admin)
    key = "port" if admin is None else "admin"
    host, port = (server.host, server.port) if admin is None else admin[:2]
    if not port:
        raise ConfigError(
            [f"[server] {key}: is 0, any free port: give the URL instead"]
        )
    try:
        ip = ip_address(host)
    except ValueError:
        pass
    else:
        if ip.is_unspecified:
            ip = ip_address("127.0.0.1" if ip.version == 4 else "::1")
        host = f"[{ip}]" if ip.version == 6 else str(ip)
    scheme = "https" if server.tls_certificate and admin is None else "http"
    return f"{scheme}://{host}:{port}"


class UnixConnection(http.client.HTTPConnection):
    """A connection to the Unix socket of an admin listener; not opened yet."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def unix_connection(url: str, timeout: float) -> UnixConnection | None:
    """A connection, where an address is that of a Unix socket: `unix:/run/x.sock`."""
    if not url.startswith(UNIX_SCHEME) or not HAS_UNIX:
        return None
    return UnixConnection(url.removeprefix(UNIX_SCHEME), timeout)
