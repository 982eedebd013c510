"""path_rewrite: the path and query that go to the upstream.

The rules are those of a dev-server proxy: tried in order on path and query as
one text, the first that matches replaces its first match. Bytes that no rule
touches go on as they came; Latin-1 maps each byte to one character and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import quote

from proxy.policy.dot_segments import check_path

Rules: TypeAlias = tuple[tuple[re.Pattern[str], str], ...]

# JavaScript replacement patterns, since these rules come from dev servers:
# $$ a dollar, $& the match, $1 to $99 a group, $<name> a named group.
REFERENCE = re.compile(r"\$(?:(\$)|(&)|([1-9]\d|0?[1-9])|<(\w+)>)|(\\)")
# What is not visible ASCII is percent-encoded, and so is a `#`: it would begin
# a fragment, which no request has (RFC 9112 §3.2).
VERBATIM = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")


def compile_rules(rules: Mapping[str, str]) -> Rules:
    """Compile the rules of one route, in their order.

    Raises:
        re.error: a pattern is wrong, or a reference to a numbered group.
        IndexError: a reference to a named group is wrong.
    """
    compiled = []
    for pattern, replacement in rules.items():
        expression = re.compile(pattern)
        template = REFERENCE.sub(python_reference, quote(replacement, safe=VERBATIM))
        # `re` looks at the references of a template before it looks for a match.
        expression.sub(template, "")
        compiled.append((expression, template))
    return tuple(compiled)


def python_reference(found: re.Match[str]) -> str:
    """One JavaScript reference in the syntax of `re`."""
    dollar, whole, number, name, backslash = found.groups()
    if dollar:
        return "$"
    if backslash:
        return r"\\"
    return rf"\g<{'0' if whole else number or name}>"


def rewrite_path(rules: Rules, path: bytes) -> bytes:
    """Apply the first rule that matches; the result begins with a slash."""
    if rules:
        text = path.decode("latin-1")
        for expression, template in rules:
            rewritten, count = expression.subn(template, text, count=1)
            if count:
                path = rewritten.encode("latin-1")
                break
    return path if path[:1] == b"/" else b"/" + path


def upstream_path(base: bytes, rules: Rules, path: bytes) -> bytes:
    """The request-target for the upstream; `base` is the target's own path.

    `*` speaks of the server as a whole and has no path (RFC 9110 §9.3.7).
    """
    return path if path == b"*" else base + rewrite_path(rules, path)


def check_rewritten(rules: Rules, path: bytes) -> None:
    """See that no rule lays dot segments bare: `/a/b/../..` without its `/a/b`.

    Raises:
        MalformedRequest: they would leave the target.
    """
    if rules and (b"." in path or b"%" in path):
        rest = rewrite_path(rules, path).partition(b"?")[0]
        check_path(path, rest, "the request target after path_rewrite")
