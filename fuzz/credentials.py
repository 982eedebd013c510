"""Credentials: whatever stands around one, it is not shown."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import unquote

from proxy.credentials import MOST_LAYERS, decoded, is_secret_name, is_secret_value
from proxy.observe.redaction import masked, masked_line, masked_target

SECRET = "Zq7vK9wR2x"  # nothing of it is a name, or may be left by a mutation
ENDS = re.compile("[&#]")  # what ends a value in a query
NAMES = ("token", "secret", "Password", "API-Key", "credential")


def check(data: bytes) -> None:
    """Two bytes choose a name and how often it is encoded; the rest is around it."""
    if len(data) < 2:
        return
    name, layers, text = NAMES[data[0] % len(NAMES)], data[1] % 7, read(data[2:])
    if SECRET in text:
        return
    check_names(text, name)
    check_layers(text)
    check_fields(text, name)
    check_targets(text.replace(" ", "+"), encoded(name, layers))


def read(data: bytes) -> str:
    return data.decode("latin-1")


def check_names(text: str, name: str) -> None:
    """A longer name hides nothing; how words are parted does not count."""
    assert is_secret_name(f"{text}-{name}")
    secret = is_secret_name(text)
    assert not secret or is_secret_name(text, of_a_query=True)
    assert is_secret_name(text.replace("-", "_")) == secret
    is_secret_value(text)


def check_layers(text: str) -> None:
    """Each is what the one before is decoded to, and the last says nothing more."""
    layers = decoded(text)
    assert layers[0] == text
    for outer, inner in pairwise(layers):
        assert inner == unquote(outer) != outer
    assert len(layers) > MOST_LAYERS or unquote(layers[-1]) == layers[-1]


def check_fields(text: str, name: str) -> None:
    """Whatever a field is called besides, or has in front of a credential."""
    hidden(masked(f"{text}-{name}", SECRET))
    hidden(masked("Authorization", f"{text}{SECRET}"))
    hidden(masked("Cookie", f"{text}; a={SECRET}"))
    hidden(masked("Set-Cookie", f"a={SECRET}; {text}"))
    hidden(masked("Sec-WebSocket-Protocol", f"x-{name}.{SECRET}, {text}"))


def check_targets(text: str, name: str) -> None:
    """In a request line and wherever an address stands."""
    inside = ENDS.sub("", text)
    for target in (
        f"/a?{name}={inside}{SECRET}",
        f"/a?{text}&{name}={SECRET}",
        f"/a?{name}={SECRET}&{text}",
        f"/{text}?{name}={SECRET}",
        f"https://user:{SECRET}@host/{text}",
    ):
        hidden(masked_target(target))
        hidden(masked_line(f"GET {target} HTTP/1.1"))
        hidden(masked("Location", target))
        hidden(masked("Referer", target))
        if "<" not in target and ">" not in target:
            hidden(masked("Link", f"<{target}>; rel=next"))


def hidden(shown: str) -> None:
    assert SECRET not in shown, shown


def encoded(name: str, layers: int) -> str:
    """A name in percent-encoding, so many times."""
    if layers:
        name = "".join(f"%{ord(each):02x}" for each in name)
    return name.replace("%", "%" + "25" * (layers - 1)) if layers > 1 else name
