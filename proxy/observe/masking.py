"""What is never shown: the values of fields, and of a query, that are credentials.

Pure. The names stay, so that a person sees that a key was sent, and where.
What is a credential says `proxy.credentials`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.credentials import (
    MOST_LAYERS,
    SCHEME,
    decoded,
    is_secret_name,
    is_secret_value,
)

MASK = "****"
# What begins a parameter, and what ends one of them: of a path `;jsessionid=…` ends
# with its segment, of a query nothing but `&` and `#` can be relied on.
PARAMETER = re.compile(r"([?&;#])([^?&;#=]*+)=")
AFTER_PATH = re.compile(r"[/?&;#]")
AFTER_QUERY = re.compile(r"[&#]")
INSIDE = re.compile(r"[?&;#]")  # where a parameter within a parameter may begin
# Akamai and others put several into one: hdnts=exp=1~acl=/*~hmac=…
INNER = re.compile(r"(?:^|[~,|!])([\w.-]+)=")
# What is in front of the last @ of an authority; a password may contain one.
USER = re.compile(r"(?<=://)[^/?#\s]*@")
HAS_TARGET = frozenset({"location", "content-location", "referer", "refresh"})
LINK = re.compile(r"<([^<>]*+)>")  # RFC 8288 §3: nothing but its end has a `>`
LONGEST_PROTOCOL = 40  # characters; what is longer is no name, but a token
DOTTED = re.compile(r"[^.]++")


def masked_fields(fields: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """Fields as text, in order, without credentials."""
    return [
        [name, masked(name, value.decode("latin-1"))]
        for name, value in ((raw.decode("latin-1"), value) for raw, value in fields)
    ]


def masked(name: str, value: str) -> str:
    """The value of one field as it may be shown."""
    key = name.lower()
    if key in ("cookie", "set-cookie"):
        return masked_cookies(value, all_of_them=key == "cookie")
    if key == "sec-websocket-protocol":
        return masked_protocols(value)
    if key in ("www-authenticate", "proxy-authenticate"):
        return value  # what is asked for, not what is shown in answer
    if is_secret_name(name) or is_secret_value(value):
        scheme = SCHEME.match(value)
        return f"{scheme[1]} {MASK}" if scheme else MASK
    if key == "link":
        return LINK.sub(lambda found: f"<{masked_target(found[1])}>", value)
    has_target = key in HAS_TARGET or value[:1] == "/" or "://" in value
    return masked_target(value) if has_target else value


def masked_cookies(value: str, *, all_of_them: bool) -> str:
    """Names and attributes stay. Of Set-Cookie only the first pair is a cookie."""
    pairs = value.split(";")
    count = len(pairs) if all_of_them else 1
    shown = [
        f"{pair.partition('=')[0]}={MASK}" if "=" in pair else MASK
        for pair in pairs[:count]
    ]
    return ";".join([*shown, *pairs[count:]])


def masked_protocols(value: str) -> str:
    """Subprotocols: a browser has no other field of a WebSocket to put a key into.

    `access_token, eyJ…` as well as `openai-insecure-api-key.sk-…`.
    """
    shown = []
    announced = False
    for protocol in value.split(","):
        name = protocol.strip()
        secret = secret_part(name)
        if announced or (not secret and len(name) > LONGEST_PROTOCOL):
            name, announced = MASK, False
        elif secret:
            announced = secret == len(name)
            name = name if announced else f"{name[:secret]}.{MASK}"
        shown.append(name)
    return ", ".join(shown)


def secret_part(protocol: str) -> int:
    """Where the first part between dots that names a credential ends; 0: none does."""
    for part in DOTTED.finditer(protocol):
        if is_secret_name(part[0]):
            return part.end()
    return 0


def masked_line(line: str) -> str:
    """A request line; its target has no space in it."""
    method, space, rest = line.partition(" ")
    target, other, version = rest.rpartition(" ")
    return f"{method}{space}{masked_target(target)}{other}{version}"


def masked_target(target: str) -> str:
    """A path or an address; parameters that look like credentials lose their values.

    One pass from left to right. An address in the value of a parameter may have
    parameters of its own; one of them ends where the outer one ends.
    """
    if "@" in target:
        target = USER.sub(f"{MASK}@", target)
    if "=" not in target:
        return target
    query = target.find("?")
    query = len(target) if query < 0 else query
    pieces: list[str] = []
    position = 0
    while (found := PARAMETER.search(target, position)) is not None:
        begin = found.end()
        in_path = found[1] == ";" and begin < query
        if is_secret_parameter(found[2]):
            end = end_of(target, begin, AFTER_PATH if in_path else AFTER_QUERY)
            shown = MASK
        else:  # only as far as no parameter within this one begins
            end = end_of(target, begin, AFTER_PATH if in_path else INSIDE)
            shown = target[begin:end]
            shown = MASK if hides(shown) else shown
        pieces += (target[position:begin], shown)
        position = end
    return "".join(pieces) + target[position:]


def end_of(text: str, begin: int, ends: re.Pattern[str]) -> int:
    """Where a parameter ends that begins there."""
    found = ends.search(text, begin)
    return len(text) if found is None else found.start()


def is_secret_parameter(name: str) -> bool:
    """Does the name of a parameter say so, in any encoding?"""
    bare = decoded(name)[-1].partition("[")[0]
    return is_secret_name(bare, of_a_query=True)


def hides(value: str) -> bool:
    """Is a value a credential itself, or has it one of its own inside?"""
    if is_secret_value(value) or has_inner(value):
        return True
    if "%" not in value:
        return False
    layers = decoded(value)
    if len(layers) > MOST_LAYERS:
        return True
    return any(
        is_secret_value(layer)
        or has_inner(layer)
        or any(is_secret_parameter(found[2]) for found in PARAMETER.finditer(layer))
        for layer in layers[1:]
    )


def has_inner(value: str) -> bool:
    """Is one of several values in one a credential: exp=1~hmac=…?"""
    return "=" in value and any(
        is_secret_name(found[1], of_a_query=True) for found in INNER.finditer(value)
    )
