"""The host of a route: what stands before the path in the name of its table.

`[routes."api.example.com/v1"]` is for one host, `"*.example.com/"` for all names
below one, and a name that begins with `/` is for all hosts.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from yarl import URL

from proxy.config.fault_text import quoted

WILDCARD = "*."
# RFC 1035 §2.3.4; the underscore is no host name's, but container networks have it.
MOST_HOST = 253
LABEL = re.compile(r"[a-z0-9_-]{1,63}")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
PORT = re.compile(r":[0-9]*$")
# What begins the pattern of a path, in other proxies.
PATTERN = re.compile(r"[\^~(\\]")


class RoutePlace(NamedTuple):
    """What a route is for: `host`, "" for all of them, and the prefix of the path."""

    host: str
    path: str


def route_place(name: str) -> RoutePlace:
    """The host and the path of a route, by the name of its table."""
    host, slash, rest = name.partition("/")
    return RoutePlace(host, slash + rest)


def names_host(name: str) -> bool:
    """Is the name of a table meant for a host, well written or not?"""
    host, path = route_place(name)
    if PATTERN.match(name) or not host:
        return False
    return bool(path) or "." in host or ":" in host or host == "localhost"


def check_host(name: str) -> None:
    """The host in the name of a route's table.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    scheme = SCHEME.match(name)
    if scheme is not None:
        raise ValueError(
            f"a route has no scheme: write {quoted(whole(name[scheme.end() :]))}"
        )
    host, path = route_place(name)
    if any(mark in host for mark in " ,\t"):
        raise ValueError(
            "a route is for one host: write one table for each, such as "
            f"{quoted(re.split(r'[ ,]+', host.strip())[0] + (path or '/'))}"
        )
    if "@" in host:
        raise ValueError(
            f"a host has no user name: write {quoted(host.rpartition('@')[2] + path)}"
        )
    if "?" in host or "#" in host:
        raise ValueError("a route cannot contain a query or fragment: remove ? and #")
    if host.startswith("[") or host.count(":") > 1:
        check_ipv6(host, path)
    elif PORT.search(host):
        raise ValueError(
            "the port of Host does not count, so a route has none: write "
            f"{quoted(PORT.sub('', host) + (path or '/'))}"
        )
    else:
        check_name(host, path)
    if not path:
        raise ValueError(
            f"a route of a host has a path, at least /: write {quoted(host + '/')}"
        )


def whole(name: str) -> str:
    """A name with a path, and without a port."""
    host, path = route_place(name)
    one = host.startswith("[") or host.count(":") == 1
    bare = PORT.sub("", host) if one else host
    return bare.lower() + (path or "/")


def check_ipv6(host: str, path: str) -> None:
    """An IPv6 address, in brackets and in its shortest form.

    Raises:
        ValueError.
    """
    text = re.sub(r"^\[|\](:[0-9]*)?$", "", host)
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError(
            f"{quoted(host)} is not a valid IPv6 address: write it in brackets, such "
            'as "[::1]/"'
        ) from None
    better = f"[{address.compressed}]"
    if address.scope_id is not None:
        better = f"[{address.compressed.partition('%')[0]}]"
    if host != better:
        raise ValueError(
            "an IPv6 address stands in brackets, in its shortest form and without a "
            f"port: write {quoted(better + (path or '/'))}"
        )


def check_name(host: str, path: str) -> None:
    """A name, or an IPv4 address; perhaps with `*.` in front.

    Raises:
        ValueError.
    """
    path = path or "/"
    bare = host.removeprefix(WILDCARD)
    if host in ("*", WILDCARD):
        raise ValueError(f"a route for all hosts has only a path: write {quoted(path)}")
    if "*" in bare:
        better = bare.rpartition("*")[2].strip("-_.")
        wider = f"{WILDCARD}{better}{path}"
        advice = f", such as {quoted(wider)}" if "." in better else ""
        raise ValueError(
            f'a "*" stands for whole labels at the beginning of a host: write "*."'
            f" there, or name the host{advice}"
        )
    if host.startswith("."):
        better = host.lstrip(".")
        raise ValueError(
            f"write {quoted(f'{WILDCARD}{better}{path}')} for the names below "
            f"{better}, and one more table {quoted(better + path)} for itself"
        )
    if not bare.isascii():
        raise ValueError(
            "a host is written as it is sent (IDNA): write "
            f"{quoted(host.removesuffix(bare) + as_sent(bare) + path)}"
        )
    if bare != bare.lower():
        raise ValueError(
            f"a host is written in lower case: write {quoted(host.lower() + path)}"
        )
    if bare.endswith("."):
        raise ValueError(
            "a host is written without the dot at its end: write "
            f"{quoted(host.rstrip('.') + path)}"
        )
    if "" in bare.split("."):
        better = ".".join(filter(None, host.split(".")))
        raise ValueError(
            f"a host cannot have an empty label (..): write {quoted(better + path)}"
        )
    if len(bare) > MOST_HOST:
        raise ValueError(f"a host has at most {MOST_HOST} characters, got {len(bare)}")
    for label in bare.split("."):
        if LABEL.fullmatch(label) is None:
            raise ValueError(
                f"{quoted(host)} is not a valid host name: {quoted(label)} is not a "
                "label of at most 63 letters, digits, - and _"
            )


def as_sent(host: str) -> str:
    """A name in Unicode as browsers send it; itself where there is no such form.

    Raises:
        ValueError: it is not a name.
    """
    try:
        return URL.build(scheme="http", host=host).raw_host or host
    except ValueError:
        raise ValueError(f"{quoted(host)} is not a valid host name") from None
