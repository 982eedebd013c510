"""The words of a fault: what was found, what is expected, what to write.

Pure text. Knows the types of the model and the keys that people bring along
from the configuration of a dev server; knows no file and no environment.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import inspect

MAX_SHOWN = 60  # characters of a string; a fault stays one line
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
REDIRECTS = (
    "write redirect_rewrite = true: redirects get the scheme and host that the "
    "client asked for"
)
OWN_TLS = "write tls_certificate and tls_key, under [server]"

# Keys of webpack-dev-server, http-proxy-middleware and Vite that have no
# counterpart of the same name here, in snake case, and what to do instead.
DEV_SERVER_KEYS = {
    "xfwd": "leave it out: X-Forwarded-* are always sent (see trust_forwarded)",
    "secure": "write verify = false, or name the authority in ca_file",
    "compress": "leave it out: nothing is ever compressed here",
    "buffer": "leave it out: nothing is ever held here",
    "rewrite": 'write path_rewrite = { "^/prefix" = "" }',
    "prefix": 'the prefix is the name of the table: [routes."/prefix"]',
    "context": 'the prefix is the name of the table: [routes."/prefix"]',
    "path_filter": 'the prefix is the name of the table: [routes."/prefix"]',
    "router": 'write one table [routes."/prefix"] for each target',
    "bypass": 'write one table [routes."/prefix"] for each target',
    "auth": "set headers.request.set.Authorization",
    "timeout": "write idle_timeout_seconds (in seconds, 0: no limit)",
    "proxy_timeout": "write first_byte_timeout_seconds or idle_timeout_seconds "
    "(in seconds, 0: no limit)",
    "follow_redirects": "leave it out: redirects go to the client; what points at "
    "the target is put right by redirect_rewrite",
    "auto_rewrite": "write redirect_rewrite = true",
    "host_rewrite": REDIRECTS,
    "protocol_rewrite": REDIRECTS,
    "rewrite_ws_origin": "write rewrite_origin = true",
    "preserve_header_key_case": "leave it out: field names keep their case",
    "prepend_path": "leave it out: the target's path is always put first",
    "log_level": "leave it out: see [log]",
    "logger": "leave it out: see [log]",
    "https": OWN_TLS,
    "ssl": OWN_TLS,
    "tls": OWN_TLS,
    "proxy": 'write one table [routes."/prefix"] for each entry',
    "dev_server": 'its proxy entries become tables: [routes."/prefix"]',
}


def snake_case(key: str) -> str:
    """`changeOrigin` and `change-origin` are `change_origin`."""
    return CAMEL_HUMP.sub("_", key).replace("-", "_").lower()


def unknown(
    key: str, known: Collection[str], elsewhere: Mapping[str, str], kind: str = "key"
) -> str:
    """Say what to write instead of an unknown key (or table, as `kind` says).

    `elsewhere` maps keys of other tables to the table they belong into.
    """
    name = snake_case(key)
    if name in known:
        return f"unknown {kind}: write {name}"
    if name in DEV_SERVER_KEYS:
        return f"unknown {kind}: {DEV_SERVER_KEYS[name]}"
    if name in elsewhere:
        return f"unknown {kind} here: {name} belongs into {elsewhere[name]}"
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"unknown {kind}: did you mean {close[0]}?"
    return f"unknown {kind}: expected {choice(sorted(known))}"


def choice(words: Collection[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def expected(annotation: Any) -> str:
    """What a key of this type takes, in words."""
    return expected_type(inspect.type_info(annotation))


def expected_type(kind: inspect.Type) -> str:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.BoolType() | inspect.UnionType():
            return "true or false"
        case inspect.IntType(ge=int(low), le=int(high)):
            return f"an integer from {low} to {high}"
        case inspect.IntType(ge=low):
            return f"an integer of {low or 0} or more"
        case inspect.FloatType():
            return "a finite number of 0 or more"
        case inspect.LiteralType(values=values):
            return choice([quoted(str(value)) for value in values])
        case inspect.ListType():
            return "a list of strings"
        case inspect.VarTupleType():
            return "a string or a list of strings"
        case inspect.DictType():
            return "a table of strings"
    return "a string"


def described(value: object, secret: bool = False) -> str:
    """A value as it was found; of a secret only its kind."""
    match value:
        case bool():
            return "true or false" if secret else str(value).lower()
        case str():
            return "a string" if secret else f"the string {shortened(value)}"
        case int():
            long = secret or value.bit_length() > 128
            return "an integer" if long else f"the integer {value}"
        case float():
            return "a number" if secret else f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "a date or time"


def shortened(text: str) -> str:
    """The text in quotes, cut to what fits on a line."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return quoted(cut)


def quoted(text: str) -> str:
    """The text as a TOML basic string of printable characters."""
    return "".join(map(printable, json.dumps(text, ensure_ascii=False)))


def printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def key_name(name: str) -> str:
    """A key as TOML writes it: bare where that is allowed."""
    return name if BARE_KEY.fullmatch(name) else quoted(name)
