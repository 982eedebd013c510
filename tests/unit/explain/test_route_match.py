from __future__ import annotations

import pytest

from proxy.policy.routing import Destination
from proxy.tools.explain import route_match
from proxy.tools.explain.route_match import Matching, matchings


@pytest.mark.parametrize(
    ("prefix", "path", "reason"),
    [
        pytest.param("/sse", b"/other", route_match.OTHER, id="another"),
        pytest.param(
            "/sse", b"/sset", route_match.INSIDE + "'t'", id="inside a segment"
        ),
        pytest.param("/sse", b"/sse;v=1", route_match.INSIDE + "';'", id="a parameter"),
        pytest.param("/sse", b"/SSE/x", route_match.CASE, id="case"),
        pytest.param("/Sse", b"/sse", route_match.CASE, id="case of the prefix"),
        pytest.param("/sse", b"/%73se/x", route_match.ENCODED, id="encoded"),
        pytest.param(
            "/sse", b"/sse%2Fx", route_match.INSIDE + "'%'", id="encoded slash"
        ),
        pytest.param("/sse/v2", b"/sse?x", route_match.BELOW, id="longer"),
        pytest.param("/sse", b"*", route_match.OTHER, id="the server as a whole"),
        pytest.param("/sse", b"/?/sse", route_match.BELOW, id="in the query"),
    ],
)
def test_each_prefix_that_does_not_match_has_its_reason(
    prefix: str, path: bytes, reason: str
) -> None:
    assert matchings([prefix], Destination(path, None)) == [
        Matching(prefix, False, False, reason)
    ]


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        pytest.param(b"/a/b/c", "/a/b", id="the longest"),
        pytest.param(b"/a/bc", "/a", id="a shorter one"),
        pytest.param(b"/b", "/", id="what is left"),
        pytest.param(b"*", "/", id="the server as a whole"),
        pytest.param(b"/a/b/../../..", "/a/b", id="one that it would leave"),
    ],
)
def test_the_longest_prefix_takes_the_path_and_shorter_ones_are_named(
    path: bytes, taken: str
) -> None:
    found = matchings(["/", "/a", "/a/b"], Destination(path, None))
    assert [each.prefix for each in found] == ["/a/b", "/a", "/"]
    assert [each.prefix for each in found if each.taken] == [taken]
    after = found[[each.taken for each in found].index(True) + 1 :]
    assert {each.reason for each in after} <= {route_match.SHORTER}


def test_a_prefix_alone_is_the_only_one() -> None:
    assert (
        matchings(["/a", "/b"], Destination(b"/a", None))[0].reason == route_match.ALONE
    )
    assert (
        matchings(["/a", "/"], Destination(b"/a", None))[0].reason == route_match.TAKEN
    )


NAMES = ["/", "/v1", "a.example/", "a.example/v1", "*.example/", "*.a.example/v1"]


@pytest.mark.parametrize(
    ("host", "path", "reasons"),
    [
        pytest.param(
            b"A.example:80",
            b"/v1/x",
            {
                "a.example/v1": route_match.EXACT_LONGEST,
                "a.example/": route_match.SHORTER,
                "*.a.example/v1": route_match.BELOW_HOST,
                "*.example/": route_match.LESS_EXACT,
                "/v1": route_match.ALL_HOSTS,
                "/": route_match.ALL_HOSTS,
            },
            id="the host itself",
        ),
        pytest.param(
            b"b.a.example",
            b"/",
            {
                "a.example/v1": route_match.HOST,
                "a.example/": route_match.HOST,
                "*.a.example/v1": route_match.BELOW,
                "*.example/": route_match.EXACT,
                "/v1": route_match.BELOW,
                "/": route_match.ALL_HOSTS,
            },
            id="a name below",
        ),
        pytest.param(
            None,
            b"/v1",
            {
                "a.example/v1": route_match.NO_HOST,
                "a.example/": route_match.NO_HOST,
                "*.a.example/v1": route_match.NO_HOST,
                "*.example/": route_match.NO_HOST,
                "/v1": route_match.TAKEN,
                "/": route_match.SHORTER,
            },
            id="no host",
        ),
    ],
)
def test_each_route_of_a_host_has_its_reason(
    host: bytes | None, path: bytes, reasons: dict[str, str]
) -> None:
    found = matchings(NAMES, Destination(path, host))
    assert {each.prefix: each.reason for each in found} == reasons
    first = next(each for each in found if each.matches)
    assert [each for each in found if each.taken] == [first]
