"""Contexts as prefixes, patterns of JavaScript as those of Python."""

from __future__ import annotations

import pytest

from proxy.tools.importers.patterns import (
    prefixes_of_glob,
    prefixes_of_pattern,
    reach_of,
    to_python,
)
from proxy.tools.importers.rewrite_rules import from_source, read_rewrite


@pytest.mark.parametrize(
    ("glob", "prefixes"),
    [
        ("/api/**", ["/api"]),
        ("/api/*", ["/api"]),
        ("**", ["/"]),
        ("/{a,b}/**", ["/a", "/b"]),
        ("/x/{a, b}/{c,d}", ["/x/a/c", "/x/a/d", "/x/b/c", "/x/b/d"]),
        ("/api/**/*.json", None),
        ("!/api/**", None),
        ("/a?/**", None),
        ("/{a,b*}/**", None),
    ],
)
def test_a_glob_is_prefixes_or_nothing(glob: str, prefixes: list[str] | None) -> None:
    assert prefixes_of_glob(glob) == prefixes


@pytest.mark.parametrize(
    ("pattern", "prefixes", "reach"),
    [
        ("^/api", ["/api"], "text"),
        ("^/api.*$", ["/api"], "text"),
        ("^/api/.*", ["/api"], "segment"),
        ("^\\/api\\/.*$", ["/api"], "segment"),
        ("^/api(/.*)?$", ["/api"], "segment"),
        ("^/api(/|$)", ["/api"], "segment"),
        ("^/api/?$", ["/api"], "exact"),
        ("^/api$", ["/api"], "exact"),
        ("^/(a|b)/(.*)", ["/a", "/b"], "segment"),
        ("^/(?:a|b)-x/", ["/a-x", "/b-x"], "segment"),
        ("^/v1\\.2/", ["/v1.2"], "segment"),
        ("^/.*", ["/"], "segment"),
        ("^/v1.2/", None, ""),
        ("^/v[12]/", None, ""),
        ("/api", None, ""),
        ("^/(a|b.)/", None, ""),
        ("^/(?!api)", None, ""),
    ],
)
def test_a_pattern_is_prefixes_or_nothing(
    pattern: str, prefixes: list[str] | None, reach: str
) -> None:
    assert prefixes_of_pattern(pattern) == prefixes
    if prefixes:
        assert reach_of(pattern) == reach


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        (r"^\/api", "", "^/api"),
        (r"^\/API", "i", "(?i)^/API"),
        (r"^/(?<id>\d+)\k<id>", "", r"^/(?P<id>\d+)(?P=id)"),
        (r"(?<=a)b", "", r"(?<=a)b"),
        ("^/a", "g", "^/a"),
        ("/a", "g", None),
        ("^/a", "y", None),
        ("[^]", "", None),
    ],
)
def test_a_pattern_of_javascript_in_python(
    pattern: str, flags: str, expected: str | None
) -> None:
    assert to_python(pattern, flags) == expected


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (r"path => path.replace(/^\/api/, '')", {"^/api": ""}),
        (r"(p) => p.replace(/^\/api/, '/v$1$$')", None),
        (r"(p) => p.replace(/^\/api\/(\d)/, '/v$1')", {r"^/api/(\d)": "/v$1"}),
        (r'(path, req) => { return path.replace("/api", "/x"); }', {"^/api": "/x"}),
        (r"function (path) { return path.replace(/^\/api/i, '') }", {"(?i)^/api": ""}),
        (r"function rewrite(path) { return path.replace('/a', '') }", {"^/a": ""}),
        (r"rewrite(path) { return path.replace(`/b.c`, '') }", {r"/b\.c": ""}),
        (r"(p) => p.replace(new RegExp('^/api\\.x'), '')", {r"^/api\.x": ""}),
        (r"(p: string): string => p.replace(/^\/api/, '')", {"^/api": ""}),
        (r"p => p.replace(/[/]api/, '')", {"[/]api": ""}),
        (r"p => p.replace(/^\/api/, x)", None),
        (r"p => p.replace(`/${x}`, '')", None),
        (r"p => q.replace(/^\/api/, '')", None),
        (r"p => p.replace(/a/, '').replace(/b/, '')", None),
        (r"p => p.replace(/\/a/g, '')", None),
        (r"p => '/x' + p.replace(/a/, '')", None),
        ("p => p.replace(/a/, '$`')", None),
        (r"p => { log(p); return p.replace(/a/, '') }", None),
    ],
)
def test_a_function_that_is_one_replace_is_a_rule(
    text: str, rule: dict[str, str] | None
) -> None:
    assert from_source(text, "/api") == rule


def test_rules_that_the_route_never_meets_are_left_out() -> None:
    table = {"^/a": "", "^/b": "", "/c": "", "^/a/b": "/x"}
    found = read_rewrite(table, "/a", "/a")
    assert found.rules == {"^/a": "", "/c": "", "^/a/b": "/x"}


def test_what_follows_a_rule_that_is_lost_is_lost_with_it() -> None:
    found = read_rewrite({"^/a": "", "[^]": "", "/c": ""}, "/a", "/a")
    assert found.rules == {"^/a": ""}
    assert "and the rules after it" in found.lost


@pytest.mark.parametrize(
    ("tried", "rules", "lost"),
    [
        ({"": "/v1", "/five": "/v1/five", "/x?y": "/v1/x?y"}, {"^/api": "/v1"}, False),
        ({"": "/", "/five": "/five", "/x?y": "/x?y"}, {"^/api": ""}, False),
        ({"": "/api", "/five": "/api/five"}, {}, True),  # who knows of other paths?
        ({"": "/v1", "/five": "/v1/five", "/x?y": "/v2/x?y"}, {}, True),
        ({"": None, "/five": "/v1/five"}, {}, True),
    ],
    ids=["other", "root", "same", "two rules", "fails"],
)
def test_a_function_is_known_by_what_it_does(
    tried: dict[str, str | None], rules: dict[str, str], lost: bool
) -> None:
    value = {"$unbuffered": "function", "source": "?", "tried": {"/api": tried}}
    found = read_rewrite(value, "/api", "/api")
    assert found.rules == rules
    assert bool(found.lost) == lost


@pytest.mark.parametrize(
    ("context", "prefix", "known"),
    [
        ("/api", "/api", True),
        ("/api/**", "/api", True),
        ("^/api/.*", "/api", False),
        ("/{api,auth}", "/api", False),
    ],
)
def test_a_function_is_tried_with_paths_and_not_with_patterns(
    context: str, prefix: str, known: bool
) -> None:
    """What it makes of `^/api/.*/five` says nothing of /api/five."""
    tried = {"": "/v1", "/five": "/v1/five"}
    value = {"$unbuffered": "function", "source": "?", "tried": {context: tried}}
    found = read_rewrite(value, context, prefix)
    assert found.rules == ({"^/api": "/v1"} if known else {})
    assert bool(found.lost) != known
