"""Where the inspector is, for whoever started the proxy; and a token made for it.

The link has the token, as a browser exchanges it for a cookie. So it goes to standard
error alone, and what somebody has configured only to a terminal: what a service writes
there is kept by others.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address
from secrets import token_urlsafe
from urllib.parse import quote

from msgspec.structs import replace

from proxy.config.listen_address import ListenAddress
from proxy.config.model import AUTO, Config

KEY = "inspector.token"
MADE = "made at the start"  # its source
TOKEN_BYTES = 24


class AutoToken:
    """The token of `token = "auto"`: one for all workers, until the process ends."""

    def __init__(self) -> None:
        self.token = ""

    def fill(self, config: Config) -> Config:
        """A configuration with the token, where it asks for one to be made."""
        if config.inspector.token != AUTO:
            return config
        self.token = self.token or token_urlsafe(TOKEN_BYTES)
        inspector = replace(config.inspector, token=self.token)
        sources = config.sources | {KEY: MADE}
        return replace(config, inspector=inspector, sources=sources)


def is_made(config: Config) -> bool:
    """Does nobody know its token who is not told?"""
    return config.sources.get(KEY) == MADE


def inspector_line(
    config: Config, port: int, admin: ListenAddress | None = None
) -> str:
    """Where the inspector is, for whoever may look; with the admin listener, if any."""
    settings = config.inspector
    line = "" if admin is None else f"Admin: {admin_url(admin)}\n"
    if settings.enabled is False or (admin is not None and admin.path):
        return line
    if admin is not None:
        url = f"http://{shown_host(admin.host)}:{admin.port}/_unbuffered/"
    elif settings.token:
        url = f"{scheme_of(config)}://{shown_host(config.server.host)}:{port}"
        url += "/_unbuffered/"
    else:
        url = f"{scheme_of(config)}://localhost:{port}/_unbuffered/"
    line += f"Inspector: {url}"
    if not settings.token:
        return f"{line}\n"
    if is_made(config) or sys.stderr.isatty():
        return f"{line}?token={quote(settings.token, safe='')}\n"
    return f"{line}  (asks for [inspector] token)\n"


def admin_url(admin: ListenAddress) -> str:
    """Where the admin listener is: health, ready and metrics are below it."""
    return str(admin) if admin.path else f"http://{admin}/"


def scheme_of(config: Config) -> str:
    """That of the public listener."""
    return "https" if config.server.tls_certificate else "http"


def shown_host(host: str) -> str:
    """A name by which a browser on this machine finds the listener."""
    try:
        ip = ip_address(host)
    except ValueError:
        return host
    if ip.is_unspecified or ip.is_loopback:
        return "localhost"
    return f"[{host}]" if ip.version == 6 else host


def new_link(
    before: Config, after: Config, port: int, admin: ListenAddress | None = None
) -> str:
    """After a reload: the link, if it has a token that nobody knows yet."""
    known = is_made(before) and before.inspector.token == after.inspector.token
    if not is_made(after) or known:
        return ""
    return inspector_line(after, port, admin).rstrip("\n")
