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
    without_stream_ids,
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
USER = re.compile(r"(?:(?<=://)|(?<=\A//)|(?<==//))[^/?#\s]*@")
# In addresses of databases and queues a password may contain anything.
FOREIGN = re.compile(r"(?<!http)(?<!https)(?<!ws)(?<!wss)://", re.IGNORECASE)
# One of several pairs in a field: Forwarded: for=…;secret=…
PAIR = re.compile(r"""(?<![^;,\s])([\w.\[\]-]++)=("(?:[^"\\]|\\.)*+"?|[^;,]*+)""")
# Of these fields the parameters are defined, and none is a credential.
DEFINED = frozenset({
    "content-type", "content-disposition", "accept", "cache-control",
    "signature-input", "permissions-policy", "feature-policy",
})  # fmt: skip
JSON_NAME = re.compile(r"""["']([^"']*+)["']\s*+:""")
JSON_BEGINS = re.compile(
    r"(?:\s|%(?:25)*20|\+)*+(?:[{\[]|%(?:25)*[57]b)", re.IGNORECASE
)
SPACE = re.compile(r"\s")
BRACKETS = re.compile(r"[\[\]]")
HAS_TARGET = frozenset({"location", "content-location", "referer", "refresh"})
# RFC 8288 §3: only its end has a `>`; of those who do not know, the last one counts.
LINK = re.compile(r"<([^<]*)>|<(.++)", re.DOTALL)
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
    return without_stream_ids(masked_value(name, value))


def masked_value(name: str, value: str) -> str:
    """The value without what its name, or its form, says is a credential."""
    key = name.lower()
    if key in ("cookie", "set-cookie"):
        return masked_cookies(value, all_of_them=key == "cookie")
    if key == "sec-websocket-protocol":
        return masked_protocols(value)
    if key in ("www-authenticate", "proxy-authenticate"):
        return value  # what is asked for, not what is shown in answer
    if is_secret_name(name) or is_secret_value(value) or has_secret_json(value):
        scheme = SCHEME.match(value)
        return f"{scheme[1]} {MASK}" if scheme else MASK
    if key == "link" and "<" in value:
        return LINK.sub(masked_link, value)
    if key in DEFINED:
        return value
    if key in HAS_TARGET:
        return masked_reference(value)
    if value[:1] == "/" or "://" in value:
        return masked_pairs(masked_target(value))
    if ("?" in value or "&" in value) and not SPACE.search(value):
        return masked_reference(value)
    return masked_pairs(value)


def masked_link(found: re.Match[str]) -> str:
    """One target of Link, with its brackets."""
    if found[1] is None:
        return f"<{masked_target(found[2])}"
    return f"<{masked_target(found[1])}>"


def masked_reference(value: str) -> str:
    """An address, or a part of one: `a?token=…`, and a query alone."""
    if value[:1] == "/" or "?" in value or "://" in value:
        return masked_target(value)
    return masked_target(f"?{value}")[1:]


def masked_pairs(value: str) -> str:
    """Pairs in a field: those that look like credentials lose their values."""
    return PAIR.sub(masked_pair, value) if "=" in value else value


def masked_pair(found: re.Match[str]) -> str:
    """One pair."""
    secret = is_secret_name(found[1]) or hides(found[2])
    return f"{found[1]}={MASK}" if secret else found[0]


def masked_cookies(value: str, *, all_of_them: bool) -> str:
    """Names and attributes stay. Of Set-Cookie only the first pair is a cookie."""
    pairs = value.split(";")
    count = len(pairs) if all_of_them else 1
    shown = [
        f"{pair.partition('=')[0]}={MASK}" if "=" in pair else MASK
        for pair in pairs[:count]
    ]
    return ";".join([*shown, *map(masked_attribute, pairs[count:])])


def masked_attribute(text: str) -> str:
    """An attribute of a cookie: a path may have a query."""
    name, equals, value = text.partition("=")
    if equals and is_secret_name(name):
        return f"{name}={MASK}"
    return f"{name}{equals}{masked_pairs(masked_target(value))}"


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
        target = without_users(target)
    target = without_stream_ids(target)
    if "=" not in target:
        return target
    query = target.find("?")
    query = len(target) if query < 0 else query
    pieces: list[str] = []
    position = looked = 0  # JSON was looked for up to there
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
            if begin >= looked and JSON_BEGINS.match(target, begin):
                looked = end_of(target, begin, AFTER_QUERY)
                if hides(target[begin:looked]):
                    shown, end = MASK, looked
        pieces += (target[position:begin], shown)
        position = end
    return "".join(pieces) + target[position:]


def without_users(target: str) -> str:
    """An address without who asks: name and password."""
    foreign = FOREIGN.search(target)
    end = target.rfind("@")
    if foreign is None or end < foreign.end():
        return USER.sub(f"{MASK}@", target)
    before = USER.sub(f"{MASK}@", target[: foreign.end()])
    return f"{before}{MASK}{target[end:]}"


def end_of(text: str, begin: int, ends: re.Pattern[str]) -> int:
    """Where a parameter ends that begins there."""
    found = ends.search(text, begin)
    return len(text) if found is None else found.start()


def is_secret_parameter(name: str) -> bool:
    """Does the name of a parameter say so, in any encoding?"""
    layers = decoded(name)
    if len(layers) > MOST_LAYERS:
        return True
    parts = BRACKETS.split(layers[-1])  # user[password]
    return any(is_secret_name(part, of_a_query=True) for part in parts)


def hides(value: str) -> bool:
    """Is a value a credential itself, or has it one of its own inside?"""
    if is_secret_value(value) or has_inner(value) or has_secret_json(value):
        return True
    if "%" not in value:
        return False
    layers = decoded(value)
    if len(layers) > MOST_LAYERS:
        return True
    return any(
        is_secret_value(layer)
        or has_inner(layer)
        or has_secret_json(layer)
        or without_stream_ids(layer) != layer
        or ("@" in layer and without_users(layer) != layer)
        or any(is_secret_parameter(found[2]) for found in PARAMETER.finditer(layer))
        for layer in layers[1:]
    )


def has_inner(value: str) -> bool:
    """Is one of several values in one a credential: exp=1~hmac=…?"""
    return "=" in value and any(
        is_secret_name(found[1], of_a_query=True) for found in INNER.finditer(value)
    )


def has_secret_json(value: str) -> bool:
    """Is a member of an object a credential: {"token": …}?"""
    return ":" in value and any(
        "\\u" in found[1] or is_secret_parameter(found[1])
        for found in JSON_NAME.finditer(value)
    )
