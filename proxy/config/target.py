"""The address of an upstream, as `target` in a route gives it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from yarl import URL

from proxy.config.lookalikes import first, in_ascii, named
from proxy.config.suggestions import edits

DEFAULT_PORTS = {"http": 80, "https": 443}
SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
UNIX = "unix:"
ACCEPTED = "write http://host:port, https://…, ws://…, wss://… or unix:/path/to.sock"

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
CREDENTIALS = re.compile(r"(?<![^/])[^/]*@")
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))  # the rest is percent-encoded
# RFC 1035 §2.3.4: the resolver fails on longer names in ways of its own. The
# underscore is no host name's, but container networks have it.
SOCKET = re.compile(r"(?:\w+://)?(?:unix:)?(?://(?=/))?(/.*\.sock)")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*+)(:?)(/*+)(.*)", re.DOTALL)
ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*)(?::\d+)?(?:/.*)?")
PORT = re.compile(r":(\d+)")
TLS_PORTS = ("443", "8443")
BLANK = " \t\r\n\f\v"
SEVERAL = re.compile(r"\w+://[^\s,;@]+(?:[\s,;]+\w+://[^\s,;@]+)+[\s,;]*")
NGINX_SOCKET = re.compile(r"\w+://unix:/")
HOST_NAME = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route's requests go.

    `path` is put before the request's path and never ends in a slash.
    `authority` is what Host says when `change_origin` is on (RFC 9110 §7.2);
    for a Unix socket it is `localhost`.
    """

    text: str
    scheme: str  # "http" or "https"; ws and wss are the same connections
    host: str
    port: int
    authority: bytes
    path: bytes = b""
    socket_path: str | None = None

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def server_name(self) -> str:
        """What a certificate has to name, and SNI says: the host, bare.

        RFC 6066 §3: without a trailing dot. An interface is for this machine.
        """
        return self.host.partition("%")[0].rstrip(".")

    @property
    def identity(self) -> bytes:
        """What is the same on every machine, however the target was written."""
        if self.socket_path is not None:
            return UNIX.encode() + self.socket_path.encode("utf-8", "surrogateescape")
        return self.origin + self.path

    @property
    def origin(self) -> bytes:
        """Scheme and authority (RFC 6454 §6.2)."""
        return self.scheme.encode("ascii") + b"://" + self.authority

    def __str__(self) -> str:
        return self.text


def parse_target(text: str) -> Target:
    """Read `http`, `https`, `ws`, `wss` or `unix:/path/to.sock`.

    Raises:
        ValueError: says what is wrong with the text and what is accepted.
    """
    try:
        return parsed(text)
    except ValueError as error:
        better = corrected(text)
        if better is None:
            raise
        reason = str(error).partition(f": {ACCEPTED}")[0]
        raise ValueError(f'{reason}: write "{better}"') from None


def parsed(text: str) -> Target:
    """Read it as it stands.

    Raises:
        ValueError: as above, without a suggestion.
    """
    shown = repr(CREDENTIALS.sub("****@", text))
    several = SEVERAL.fullmatch(text)
    if several is not None:
        each = ", ".join(f'"{one}"' for one in re.split(r"[\s,;]+", text) if one)
        raise ValueError(f"{shown} is more than one address: write target = [{each}]")
    if CONTROL.search(text) or (" " in text and not text.startswith(UNIX)):
        raise ValueError(f"{shown} contains a space or a control character")
    if text.startswith(UNIX):
        socket_path = text[len(UNIX) :]
        if not socket_path.startswith("/"):
            raise ValueError(f"{shown}: write unix:/absolute/path.sock")
        return Target(text, "http", "localhost", 0, b"localhost", b"", socket_path)
    at = first(text)
    if at is not None:
        raise ValueError(f"{shown} contains {named(text[at])}: {ACCEPTED}")
    try:
        url = URL(text)
    except ValueError as error:
        reason = str(error).removeprefix("Invalid URL: ").rstrip(".")
        if "port" in reason.lower():
            raise ValueError(f"{shown}: expected a port from 1 to 65535") from error
        raise ValueError(
            f"{shown} is not a valid address ({reason}): {ACCEPTED}"
        ) from error
    if url.scheme not in SCHEMES or not url.raw_host:
        raise ValueError(f"{shown} is not a valid upstream address: {ACCEPTED}")
    if url.user is not None or url.password is not None:
        raise ValueError(
            "credentials are not allowed in the address: set "
            "headers.request.set.Authorization instead"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"{shown}: a target cannot have a query or fragment")
    if NGINX_SOCKET.match(text):
        raise ValueError(f"{shown} is not a valid upstream address: {ACCEPTED}")
    if url.raw_path.endswith("*"):
        raise ValueError(f"{shown}: a target already has every path below it")
    return from_url(url, text)


def corrected(text: str) -> str | None:
    """What a wrong target was meant to be; None: that is not certain."""
    if "@" in text:  # credentials are never shown
        return None
    plain = in_ascii(text).strip(BLANK).strip("<>\"'`").rstrip(";,").replace("\\", "/")
    plain = re.split(r"[?#]", plain, maxsplit=1)[0]
    if plain.endswith("*"):
        plain = plain.rstrip("*").removesuffix("/")
    plain = re.sub(r"/?\$(?:request_)?uri$", "", plain)
    for better in meant(plain):
        try:
            parsed(better)
        except ValueError:
            continue
        return better if better != text else None
    return None


def meant(plain: str) -> Iterator[str]:
    """What a text may stand for, the most certain first."""
    yield plain
    socket_path = SOCKET.fullmatch(plain)
    if socket_path is not None:
        yield f"{UNIX}{socket_path[1]}"
    name, slashes, rest = begun(plain)
    scheme = scheme_of(name)
    if name and scheme is not None:
        if slashes > 2 and not re.match(r"localhost|[^/]*[:.]", rest):
            return  # a path, and its host was forgotten
        rest = f"localhost{rest}" if rest.startswith(":") else rest
        yield f"{scheme}://{rest}"
    elif not name:
        rest = plain.lstrip("/")
        rest = f":{rest}" if rest.isdecimal() else rest
        port = PORT.search(rest)
        scheme = "https" if port and port[1] in TLS_PORTS else "http"
        if ADDRESS.fullmatch(rest):
            yield f"{scheme}://{'localhost' * rest.startswith(':')}{rest}"


def begun(plain: str) -> tuple[str, int, str]:
    """What may be a scheme, how many slashes are behind it, and the rest.

    `http:/a`, `http//a` and `http:a` have one, `localhost:80` and `a/b` have none.
    """
    found = SCHEME.fullmatch(plain)
    if found is not None:
        name, colon, slashes, rest = found.groups()
        if (slashes if colon else len(slashes) > 1) or (
            colon and re.match(r"[A-Za-z\[]", rest)
        ):
            return name, len(slashes), rest
    return "", 0, plain


def scheme_of(name: str) -> str | None:
    """The scheme that was meant: `htp` is http, `ftp` is another one."""
    lower = name.lower()
    if lower in SCHEMES:
        return lower
    close = [each for each in SCHEMES if lower[:1] in "hw" and edits(lower, each) <= 1]
    if not close:
        return None
    return next((each for each in close if each[-1] == lower[-1]), close[0])


def from_url(url: URL, text: str) -> Target:
    """The target of a well-formed URL; its path keeps the bytes of `text`."""
    scheme = SCHEMES[url.scheme]
    default_port = DEFAULT_PORTS[scheme]
    port = default_port if url.explicit_port is None else url.explicit_port
    if port == 0:
        raise ValueError(f"{text!r}: expected a port from 1 to 65535, got 0")
    # An interface name (fe80::1%eth0) is for this machine only: never in Host.
    host = (url.raw_host or "").replace("%25", "%")
    bare, _, _ = host.partition("%")
    authority = f"[{bare}]" if is_ipv6(bare) else host
    if authority == host and HOST_NAME.fullmatch(host) is None:
        raise ValueError(f"{text!r}: {host!r} is not a valid host name or IP address")
    if port != default_port:
        authority = f"{authority}:{port}"
    return Target(
        text=text,
        scheme=scheme,
        host=host,
        port=port,
        authority=authority.encode("ascii"),
        path=quote(urlsplit(text).path, safe=VISIBLE).rstrip("/").encode("ascii"),
    )


def is_ipv6(host: str) -> bool:
    """Is the text an IPv6 address, without brackets and interface name?"""
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
