"""What is never shown: the values of fields, and of a query, that are credentials.

Pure. The names stay, so that a person sees that a key was sent, and where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

MASK = "****"
# Authorization, Api-Key, X-Goog-Api-Key, X-Auth-Token, X-Forwarded-Access-Token,
# Ocp-Apim-Subscription-Key, X-Client-Secret, X-Amzn-Oidc-Data …
SECRET_PART = re.compile(
    r"(?:^|[-_.])(?:\w*(?:api|access|secret)-?key|key$|auth|authorization|authentication(?:-info)?"
    r"|\w*token|\w*secret|\w*password|passwd|pwd|passphrase|session(?:-?id)?|signature"
    r"|credentials?|jwt|assertion|oidc|bearer)(?:$|[-_.])",
    re.IGNORECASE,
)
HARMLESS_FIELDS = frozenset(
    {"sec-websocket-key", "idempotency-key", "surrogate-key", "x-cache-key"}
)
# In a query a name may stand alone: ?key=…, &sig=…, &access_token=…, ;jsessionid=…
SECRET_PARAMETER = re.compile(
    r"(?:key|token|secret|passw(?:or)?d|pwd|passphrase|auth|authorization"
    r"|session(?:[-_]?id)?|sessid|signature|code|credentials?|jwt|assertion|bearer"
    r"|saml(?:request|response)|(?:^|[-_.])(?:sid|sig|sign|pass|otp|ticket))"
    r"(?:\[[^\]]*\])?$",
    re.IGNORECASE,
)
PARAMETER = re.compile(r"(?<=[?&;#])([^=&;#?]*)=([^&;#>\"\s]*)")
USER = re.compile(r"(?<=://)[^/?#@\s]*@")
HAS_TARGET = frozenset({"location", "content-location", "referer", "link", "refresh"})
# A scheme says what kind of credential it was: Bearer ****, Basic ****.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9-]*) +\S")
LONGEST_PROTOCOL = 40  # characters; what is longer is no name, but a token


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
    if SECRET_PART.search(key) and key not in HARMLESS_FIELDS:
        scheme = SCHEME.match(value)
        return f"{scheme[1]} {MASK}" if scheme and "auth" in key else MASK
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
        found = SECRET_PART.search(name)
        if announced or (found is None and len(name) > LONGEST_PROTOCOL):
            name, announced = MASK, False
        elif found is not None:
            announced = found.end() == len(name)
            name = name if announced else name[: found.end()] + MASK
        shown.append(name)
    return ", ".join(shown)


def masked_target(target: str) -> str:
    """A path or an address; parameters that look like credentials lose their values."""
    if "@" in target:
        target = USER.sub(f"{MASK}@", target)
    return PARAMETER.sub(masked_parameter, target) if "=" in target else target


def masked_parameter(parameter: re.Match[str]) -> str:
    """One parameter. An address in its value may have parameters of its own."""
    name, value = parameter.groups()
    if SECRET_PARAMETER.search(unquote(name)):
        return f"{name}={MASK}"
    if "?" in value:
        return f"{name}={masked_target(value)}"
    inner = unquote(value)
    return (
        f"{name}={value if inner == value or masked_target(inner) == inner else MASK}"
    )
