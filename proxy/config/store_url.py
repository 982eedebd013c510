"""The address of a shared store, in which a password may stand. Pure.

No message shows more of it than its scheme, host and port.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from proxy.config.fault_text import choice, quoted

SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PORT = 6379
# What may stand behind the `?`, as redis-py reads it.
PARAMETERS = ("db", "username", "password")
TLS_PARAMETERS = (
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
)
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
FORMS = "redis://host:port, rediss://host:port or unix:///path"
ESCAPES = "percent-encode what is special in the password (@ : / ? # % as %40 %3A …)"


class StoreUrl(NamedTuple):
    """A valid one, in parts. `place`: what may be shown of it."""

    place: str
    tls: bool
    path: str  # of a Unix socket, or ""
    host: str
    port: int
    db: int
    username: str
    password: str
    options: dict[str, str]  # of TLS


def parse_store_url(url: str) -> StoreUrl:
    """The parts of an address.

    Raises:
        ValueError: says what is wrong with it, and shows no secret.
    """
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError("contains a space or a control character")
    scheme, mark, _ = url.partition("://")
    if not mark or scheme not in SCHEMES:
        raise ValueError(f"expected {FORMS}")
    if BROKEN_ESCAPE.search(url):
        raise ValueError(f"a % does not start an escape: {ESCAPES}")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = unquote(parts.hostname or "")
    except ValueError:
        raise ValueError(f"host or port cannot be read: {ESCAPES}") from None
    if parts.fragment or "#" in url:
        raise ValueError(f"a # is not allowed: {ESCAPES}")
    options = read_parameters(parts)
    return put_together(parts, host, port, options)


def put_together(
    parts: SplitResult, host: str, port: int | None, options: dict[str, str]
) -> StoreUrl:
    """Check the parts against each other."""
    path = unquote(parts.path)
    if parts.scheme == "unix":
        if host or len(path) < 2:
            raise ValueError("expected an absolute path: unix:///run/redis.sock")
        place, db = f"unix://{path}", options.pop("db", "0")
    else:
        if not host:
            raise ValueError("has no host: expected redis://host:port")
        port = DEFAULT_PORT if port is None else port
        shown = f"[{host}]" if ":" in host else host
        place = f"{parts.scheme}://{shown}:{port}"
        db = options.pop("db", "") or path.strip("/") or "0"
        path = ""
    if not db.isascii() or not db.isdigit() or len(db) > 4:
        raise ValueError(f"the database behind the port must be a number: {ESCAPES}")
    username = options.pop("username", "") or unquote(parts.username or "")
    password = options.pop("password", "") or unquote(parts.password or "")
    if username and not password:
        raise ValueError(
            "has a user without a password: write redis://user:password@host, or "
            "redis://:password@host for the default user"
        )
    return StoreUrl(
        place if db == "0" else f"{place} (db {db})",
        parts.scheme == "rediss",
        path,
        host,
        port or 0,
        int(db),
        username,
        password,
        options,
    )


def read_parameters(parts: SplitResult) -> dict[str, str]:
    """What stands behind the `?`."""
    known: tuple[str, ...] = PARAMETERS
    if parts.scheme == "rediss":
        known += TLS_PARAMETERS
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            # Behind a `?` that is not escaped it may be a part of the password.
            told = f" {quoted(name)}" if name in TLS_PARAMETERS else ""
            raise ValueError(
                f"unknown parameter{told}: expected {choice(known)}; {ESCAPES}"
            )
        found[name] = value
    if found.get("ssl_check_hostname", "true") not in ("true", "false"):
        raise ValueError("ssl_check_hostname must be true or false")
    return found


def place_of(url: str) -> str:
    """An address without user and password."""
    try:
        return parse_store_url(url).place
    except ValueError:
        return "****"
