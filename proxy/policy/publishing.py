"""What an upstream says of its own address, in terms of the public one.

Redirects and cookies name the upstream's host and paths. Behind a prefix they
have to name ours, or the browser leaves the proxy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.config.target import Target

# scheme://authority of an absolute URL, or //authority (RFC 3986 §4.2).
ORIGIN = re.compile(rb"(?:(https?|wss?):)?//([^/?#]*)", re.IGNORECASE)
DEFAULT_PORT = {b"http": b":80", b"https": b":443", b"ws": b":80", b"wss": b":443"}
# `^/prefix` with no special character: a rule that can be read backwards.
LITERAL_RULE = re.compile(r"\^((?:/(?:[A-Za-z0-9_~%@:!,=-]|\\.)+)+)/?")
LITERAL_PATH = re.compile(r"(?:/[A-Za-z0-9._~%@:!,=-]*)*")


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the public path relates to the upstream's: `public` ↔ `upstream`."""

    public: bytes
    upstream: bytes


def reversible(target: Target, rules: Mapping[str, str]) -> Mapped | None:
    """The one prefix that path_rewrite replaces, if its rules are that simple.

    No rules: the paths are the same below the target's own. A rule such as
    `^/api` = `/v1` is read backwards; anything cleverer is not.
    """
    if not rules:
        return Mapped(b"", target.path)
    if len(rules) > 1:
        return None
    ((pattern, replacement),) = rules.items()
    literal = LITERAL_RULE.fullmatch(pattern)
    if literal is None or LITERAL_PATH.fullmatch(replacement) is None:
        return None
    public = re.sub(r"\\(.)", r"\1", literal[1])
    return Mapped(
        public.encode("ascii"), target.path + replacement.rstrip("/").encode("ascii")
    )


def public_location(
    value: bytes, target: Target, mapped: Mapped | None, origin: bytes
) -> bytes:
    """A Location or Content-Location as the client has to see it.

    `origin` is the public `scheme://host`. An address that is not the
    target's is left alone; a relative one without a leading slash resolves
    against the public address anyway.
    """
    found = ORIGIN.match(value)
    if found is None:
        if not value.startswith(b"/"):
            return value
        return public_path(value, mapped)
    scheme = (found[1] or target.scheme.encode()).lower()
    if not is_target(scheme, found[2], target):
        return value
    return origin + public_path(value[found.end() :] or b"/", mapped)


def is_target(scheme: bytes, authority: bytes, target: Target) -> bool:
    """Does an authority name the target?"""
    wanted = target.authority.lower()
    own = authority.lower().removesuffix(DEFAULT_PORT[scheme])
    return own == wanted.removesuffix(DEFAULT_PORT[target.scheme.encode()])


def public_path(path: bytes, mapped: Mapped | None) -> bytes:
    """An upstream's absolute path with the public prefix put back."""
    if mapped is None or not path.startswith(mapped.upstream):
        return path
    rest = path[len(mapped.upstream) :]
    if rest[:1] not in (b"", b"/", b"?", b"#"):
        return path  # /v10 is not below /v1
    return mapped.public + rest


ATTRIBUTE = re.compile(rb";[ \t]*(domain|path|secure)[ \t]*(?:=[ \t]*([^;]*))?", re.I)


def public_cookie(
    value: bytes,
    domains: Mapping[str, str],
    paths: Mapping[str, str],
    *,
    strip_secure: bool,
) -> bytes:
    """A Set-Cookie value with Domain, Path and Secure rewritten (RFC 6265 §4.1).

    Mappings are old = new, `*` for any; a new value of "" takes the attribute
    out, so that the cookie belongs to the public host. The name, the value
    and all other attributes stay byte for byte.
    """

    def replaced(found: re.Match[bytes]) -> bytes:
        name = found[1].lower()
        if name == b"secure":
            return b"" if strip_secure and found[2] is None else found[0]
        old = (found[2] or b"").strip(b" \t")
        new = rewritten(old, domains if name == b"domain" else paths, name)
        if new is None:
            return found[0]
        return b"; %b=%b" % (found[1], new) if new else b""

    return ATTRIBUTE.sub(replaced, value)


def rewritten(old: bytes, table: Mapping[str, str], name: bytes) -> bytes | None:
    """The new value of an attribute, None if no entry speaks of it."""
    text = old.decode("latin-1")
    if name == b"domain":
        text = text.lower().removeprefix(".")
        table = {key.lower().removeprefix("."): new for key, new in table.items()}
    new = table.get(text, table.get("*"))
    return None if new is None else new.encode("latin-1", "replace")
