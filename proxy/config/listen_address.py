"""Where a listener is: a host and a port, or the path of a Unix socket. Pure."""

from __future__ import annotations

import os
import re
import socket
from ipaddress import ip_address
from typing import NamedTuple

from proxy.config.fault_text import quoted

UNIX_SCHEME = "unix:"
HAS_UNIX = hasattr(socket, "AF_UNIX")
# Bytes of sockaddr_un.sun_path, but for its NUL (unix(7); 104 on BSD and macOS).
LONGEST_PATH = 103
PORT = re.compile(r"[0-9]{1,5}")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")


class ListenAddress(NamedTuple):
    """A place to listen: `path` of a Unix socket, or else `host` and `port`."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        """As it is written in a configuration."""
        if self.path:
            return UNIX_SCHEME + self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Does it stand for all addresses of this machine?"""
        try:
            return not self.path and ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def meets(self, other: ListenAddress) -> bool:
        """Would both listen in the same place? Port 0 is any free one."""
        if self.path or other.path:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        one, two = (name_of(each.host) for each in (self, other))
        return one == two or self.is_everywhere or other.is_everywhere


def name_of(host: str) -> str:
    """A host as it is compared with others."""
    try:
        return str(ip_address(host))
    except ValueError:
        host = host.lower().removesuffix(".")
        return "127.0.0.1" if host == "localhost" else host


def parse_listen_address(text: str) -> ListenAddress:
    """`127.0.0.1:9090`, `[::1]:9090`, `localhost:9090` or `unix:/run/x.sock`.

    Raises:
        ValueError: says what is wrong with it, and what to write.
    """
    if text.startswith(UNIX_SCHEME):
        return parse_path(text)
    if "://" in text:
        bare = text.partition("://")[2].partition("/")[0]
        raise ValueError(f"expected an address without a scheme: write {quoted(bare)}")
    if text.startswith("/"):
        raise ValueError(f"of a Unix socket write {quoted(UNIX_SCHEME + text)}")
    if text.endswith("]") and is_address(text[1:-1]):
        raise ValueError(f"has no port: write {quoted(f'{text}:9090')}")
    host, colon, port = text.rpartition(":")
    if not colon and PORT.fullmatch(text):  # a port alone
        host, port = "", text
    elif not colon:
        raise ValueError(f"has no port: write {quoted(f'{text}:9090')}")
    if PORT.fullmatch(port) is None or int(port) > 65535:
        raise ValueError(
            f"{quoted(port[:80])} is not a port: expected a number from 0 to 65535, as "
            'in "127.0.0.1:9090"'
        )
    if host in ("", "*"):
        raise ValueError(
            f'has no host: write "127.0.0.1:{port}" for this machine, or '
            f'"0.0.0.0:{port}" for all IPv4 interfaces'
        )
    return ListenAddress(parse_host(host, text), int(port))


def is_loopback(host: str) -> bool:
    """Can only programs on this machine connect there?"""
    try:
        return ip_address(name_of(host)).is_loopback
    except ValueError:
        return False


def parse_host(host: str, text: str) -> str:
    """The host of an address, without brackets.

    Raises:
        ValueError: see above.
    """
    bracketed = host[:1] == "[" and host[-1:] == "]"
    host = host[1:-1] if bracketed else host
    try:
        version = ip_address(host).version
    except ValueError:
        if not bracketed and HOST_NAME.fullmatch(host) and not is_dotted(host):
            return host
        hint = f"write {quoted(f'[{text}]:9090')}" if is_address(text) else ""
        hint = hint or 'expected one as in "127.0.0.1:9090" or "[::1]:9090"'
        raise ValueError(f"{quoted(host[:80])} is not a host: {hint}") from None
    if version == 6 and not bracketed:
        port = text.rpartition(":")[2]
        raise ValueError(
            f"an IPv6 address needs brackets: write {quoted(f'[{host}]:{port}')}"
        )
    return host


def is_dotted(host: str) -> bool:
    """Is it numbers and dots alone? Then it was to be an IPv4 address."""
    return re.fullmatch(r"[0-9.]+", host) is not None


def is_address(text: str) -> bool:
    """Is all of it an IP address?"""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_path(text: str, *, has_unix: bool = HAS_UNIX) -> ListenAddress:
    """The address of a Unix socket.

    Raises:
        ValueError: see above.
    """
    path = text.removeprefix(UNIX_SCHEME)
    if not has_unix:
        raise ValueError("this system has no Unix sockets: write a host and a port")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(
            "expected an absolute path: write "
            f"{quoted(f'{UNIX_SCHEME}/run/unbuffered/admin.sock')}"
        )
    if path.endswith("/"):
        raise ValueError("names a directory: add the name of the socket")
    if "\0" in path:
        raise ValueError("the path has a NUL character")
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise ValueError(
            f"the path has {length} bytes; a Unix socket can have {LONGEST_PATH}: "
            "choose a shorter one"
        )
    return ListenAddress("", 0, path)
