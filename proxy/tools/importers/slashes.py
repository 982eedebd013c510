"""Rules whose results hold no doubled slash, as http-proxy sends them.

http-proxy, which is behind every dev server, joins the target's path and the
request's and merges all slashes: `^/api` = `/` makes `/users` of `/api/users`
there. A rule of path_rewrite replaces what it says, and no more. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from proxy.tools.importers.patterns import is_literal, unescape

SLASHES = re.compile(r"/{2,}")
# As in a replacement of JavaScript.
REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|&|(?P<number>[0-9]{1,2})|<(?P<name>\w+)>)")
RESTS = ("", "/", "/one", "/one/two/", "?a=/b//c", "/one?d=//e")
GROUP = re.compile(r"(?<!\\)\((?=\.)")  # of any text, which may begin with a slash
MERGES = "http-proxy merges slashes"
MERGED = "was {pattern} = {replacement}: " + MERGES
LEFT = MERGES + ", rules here do not: {pattern} can produce //"


def merged(rules: Mapping[str, str], prefix: str) -> tuple[dict[str, str], list[str]]:
    """The rules so that they make the paths of http-proxy; a remark on each change."""
    found: dict[str, str] = {}
    remarks = []
    for pattern, replacement in rules.items():
        rule, remark = one_rule(pattern, replacement, prefix)
        found.setdefault(*rule)
        if remark:
            remarks.append(remark)
    return found, remarks


def one_rule(
    pattern: str, replacement: str, prefix: str
) -> tuple[tuple[str, str], str]:
    wanted = results(pattern, replacement, samples(pattern, prefix))
    if all(squeezed(result) == result for result in wanted.values()):
        return (pattern, replacement), ""
    expected = {path: squeezed(result) for path, result in wanted.items()}
    for rule in candidates(pattern, replacement):
        made = results(*rule, samples(pattern, prefix))
        if made == expected:
            remark = MERGED.format(pattern=pattern, replacement=replacement)
            return rule, remark
    return (pattern, replacement), LEFT.format(pattern=pattern)


def candidates(pattern: str, replacement: str) -> Iterator[tuple[str, str]]:
    """Rules that may do the same without a doubled slash, the plainest first."""
    shorter = squeezed(replacement, rooted=False)
    yield pattern, shorter
    if is_literal(pattern.removeprefix("^")) and shorter.endswith("/"):
        yield pattern, shorter.removesuffix("/")
    if is_literal(pattern.removeprefix("^")):
        yield f"{pattern}/*", shorter
    yield f"(?:{pattern})/*", shorter
    group = GROUP.search(pattern)
    if group is not None:
        at = group.start()
        yield f"{pattern[:at]}/*{pattern[at:]}", shorter


def samples(pattern: str, prefix: str) -> list[str]:
    """Paths of the route, among them such as the pattern asks for."""
    bases = [prefix.rstrip("/")]
    text = pattern.removeprefix("^")
    if is_literal(text) and unescape(text).startswith(bases[0]):
        bases.append(unescape(text).rstrip("/"))
    return [base + rest for base in dict.fromkeys(bases) for rest in RESTS]


def results(pattern: str, replacement: str, paths: list[str]) -> dict[str, str]:
    """What a rule makes of those paths that it matches; they begin with a slash."""
    found = {}
    for path in paths:
        match = re.search(pattern, path)
        if match is not None:
            made = path[: match.start()] + filled(replacement, match)
            made += path[match.end() :]
            found[path] = made if made.startswith("/") else f"/{made}"
    return found


def filled(replacement: str, match: re.Match[str]) -> str:
    """A replacement of JavaScript with the groups of a match."""

    def one(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        group: str | int = reference["name"] or int(reference["number"] or 0)
        return match[group] or ""

    return REFERENCE.sub(one, replacement)


def squeezed(path: str, *, rooted: bool = True) -> str:
    """A path, its slashes merged; the query stays as it is."""
    bare, mark, query = path.partition("?")
    bare = SLASHES.sub("/", bare)
    return (bare or "/" * rooted) + mark + query
