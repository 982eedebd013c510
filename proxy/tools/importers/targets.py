"""The `target` of an entry: an address, or the parts of one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from proxy.config.target import parse_target
from proxy.tools.importers.values import mark, number, shown, table

CREDENTIALS = re.compile(r"(?<=//)[^/?#]*@")
# What JavaScript writes for a variable that is not set.
UNSET = ("undefined", "null", "nan")
LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0")


def address(value: object) -> str:
    """The address as text; of a table of parts, what they are together."""
    parts = table(value)
    if not parts:
        return value if isinstance(value, str) else ""
    if isinstance(parts.get("socketPath"), str):
        return f"unix:{parts['socketPath']}"
    host = parts.get("host") or parts.get("hostname")
    if not isinstance(host, str):
        return ""
    scheme = str(parts.get("protocol") or "http").rstrip(":/")
    port = number(parts.get("port"))
    return f"{scheme}://{host}" + (f":{port:.0f}" if port and ":" not in host else "")


def read_target(value: object) -> tuple[str, list[str]]:
    """A target that loads, and remarks on what was changed.

    Raises:
        ValueError: says why none can be made of the value.
    """
    text = address(value).strip()
    if not text:
        raise ValueError(missing(value))
    remarks = []
    if text.startswith("//"):
        text = f"http:{text}"
    if "://" not in text and not text.startswith("unix:"):
        text = f"http://{text}"
        remarks.append("no scheme was given: http:// is assumed")
    if CREDENTIALS.search(text):
        text = CREDENTIALS.sub("", text)
        remarks.append("the credentials in the URL were removed")
    if urlsplit(text).hostname in UNSET:
        raise ValueError(NOT_SET.format(text=CREDENTIALS.sub("", text)))
    bare, _, query = re.sub(r"#.*", "", text).partition("?")
    if query:
        remarks.append("the query of the URL was removed")
    scheme, mark, rest = bare.partition("://")
    bare = scheme + mark + re.sub(r"/{2,}", "/", rest)  # as http-proxy does
    text = bare.rstrip("/") if urlsplit(bare).path == "/" else bare
    parse_target(text)
    return text, remarks


NOT_SET = "the URL is {text!r}: is an environment variable not set?"


def missing(value: object) -> str:
    if value in (None, ""):
        return "no target (is an environment variable not set?)"
    return f"the target is {shown(value) if mark(value) else 'not an address'}"


def local_port(target: str) -> int:
    """The port on this machine that a target names; 0 for any other."""
    found = urlsplit(target)
    try:
        return (found.port or 0) if found.hostname in LOCAL else 0
    except ValueError:
        return 0
